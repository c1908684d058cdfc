import { assertEquals } from "@std/assert";
import { ALL, startDeno } from "./deno_process.ts";

const MAIN = `${import.meta.dirname}/oidc_provider_main.ts`;
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

async function post(url: string, form: Record<string, string>) {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams(form) });
  return { status: response.status, body: await response.json() };
}

Deno.test("oidc provider process: approves, feeds the tracking API, ends with its input", async () => {
  const options = { interval: 1, autoApprove: true };
  const args = ["--json", JSON.stringify(options)];
  await using child = startDeno({ file: MAIN, flags: ALL, args });
  try {
    const { issuer, clientId: client_id, apiHost } = JSON.parse(await child.line());
    const device = (await post(`${issuer}/device/auth`, { client_id, scope: "openid" })).body;
    const form = { client_id, grant_type: DEVICE_GRANT, device_code: device.device_code };
    let token = await post(`${issuer}/token`, form);
    while (token.body.error === "authorization_pending") {
      token = await post(`${issuer}/token`, form);
    }
    const statuses: number[] = [];
    for (const bearer of [token.body.access_token, "another"]) {
      const headers = { authorization: `Bearer ${bearer}` };
      const response = await fetch(`${apiHost}ping`, { headers });
      await response.body?.cancel();
      statuses.push(response.status);
    }
    assertEquals(statuses, [200, 401]);
  } finally {
    assertEquals((await child.end()).code, 0);
  }
});
