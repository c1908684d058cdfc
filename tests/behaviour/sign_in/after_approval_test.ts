import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSession } from "../../../mod.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { hang } from "../../support/http_server.ts";
import { test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { SpyBackend } from "../../support/spy_backend.ts";

const REASON = new Error("enough");

/** A backend whose write of an entry waits at a gate. */
function gatedBackend() {
  const backend = new SpyBackend();
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  backend.before = async (method, key) => {
    if (method !== "put" || key.startsWith("probe|")) return;
    arrived.resolve();
    await gate.promise;
  };
  const entry = (): OidcCredentials | undefined => backend.rows.values().next().value;
  return { backend, arrived: arrived.promise, open: () => gate.resolve(), entry };
}

/** The title of the page that a browser gets. */
async function titleOf(address: string): Promise<string> {
  const html = await (await fetch(address)).text();
  return /<title>(.*?)<\/title>/.exec(html)?.[1] ?? "";
}

test.real("after the approval: an abort while the tokens are stored ends the wait, and they are kept", async (world) => {
  const { backend, arrived, open, entry } = gatedBackend();
  const stop = new AbortController();
  const options = { credentialsBackend: backend, signal: stop.signal };
  const { prompt, session } = await startBrowserFlow(world, options);
  const failed = assertRejects(() => session);
  const page = world.provider.follow(prompt.url);
  await arrived;
  stop.abort(REASON);
  assertEquals(await failed, REASON);
  open();
  assertEquals((await page).title, "Your answer has arrived");
  await new Promise((resolve) => setTimeout(resolve, 0)); // the write goes on by itself
  assert(await world.provider.isActive(entry()!.access_token));
  const later = { ...browserOptions(world), credentialsBackend: backend, interactive: false };
  await (await createSession(later)).close();
});

test("after the approval: an abort ends the wait for tokens, and their request", async (world) => {
  const stop = new AbortController();
  const cut = Promise.withResolvers<void>();
  world.provider.script.token.push((request) => {
    request.signal.addEventListener("abort", () => cut.resolve());
    stop.abort(REASON);
    return hang(request);
  });
  const run = () => createSession({ ...world.options, signal: stop.signal });
  assertEquals(await assertRejects(run), REASON);
  await cut.promise;
});

test("after the approval: the browser's tokens that fail a check are revoked", async (world) => {
  const { provider } = world;
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  let issued = "";
  provider.script.token.push(async () => {
    const id_token = await provider.idToken({ nonce: "of another sign-in", aud: "another" });
    const response = await provider.tokens({ id_token });
    issued = (await response.clone().json()).refresh_token;
    return response;
  });
  const { answer, session } = await startBrowserFlow(world);
  const failed = rejectsWith("id_token_invalid", () => session);
  assertEquals(await titleOf(answer({ code: "a-code-without-use" })), "Your answer has arrived");
  await failed;
  const revoked = provider.requests.filter(({ path }) => path === "/revoke");
  assertEquals(revoked.map(({ form }) => [form.token, form.token_type_hint]), [
    [await sha256Hex(issued), "refresh_token"],
  ]);
});

for (const host of ["127.0.0.1", "localhost"]) {
  test(`after the approval: the device's tokens are revoked at ${host}, if the sign-in needs it`, async (world) => {
    const { provider } = world;
    const { port } = new URL(provider.issuer);
    provider.discovery = { revocation_endpoint: `http://${host}:${port}/revoke` };
    provider.script.token.push(async () =>
      await provider.tokens({ id_token: await provider.idToken({ aud: "another client" }) })
    );
    await rejectsWith("id_token_invalid", () => createSession(world.options));
    const revoked = provider.requests.filter(({ path }) => path === "/revoke");
    assertEquals(revoked.length, host === "localhost" ? 0 : 1);
  });
}
