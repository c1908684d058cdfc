import { assertEquals, assertMatch } from "@std/assert";
import { runDeno } from "../support/deno_process.ts";
import { FakeKernel } from "../support/fake_kernel.ts";
import { startTrackingApi } from "../support/tracking_api.ts";
import { init } from "../../client/init.ts";
import { test } from "../support/provider_world.ts";
import { rejectsWith } from "../support/rejects_with.ts";

Deno.test("an error that nobody catches is printed with its code, and its stack begins at the caller", async () => {
  const issuers = {
    insecure_url: "http://login.example.com",
    provider_unavailable: "http://[::1]:1",
  };
  for (const [name, issuer] of Object.entries(issuers)) {
    const code = `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      const options = { issuer: "${issuer}", clientId: "c", onDeviceCode() {},
        credentialsBackend: new MemoryCredentialsBackend() };
      const mine = async () => await createSession(options);
      try { await mine(); } catch (error) { console.log(error.stack); }
      await mine();
    `;
    const { stdout, stderr } = await runDeno({ code, flags: ["--allow-env", "--allow-net"] });
    for (const text of [stdout, stderr]) { // which Deno prints by rules of its own
      assertMatch(
        text,
        new RegExp(`ValidMindAuthError \\[${name}\\]: Cannot .*\n {4}at async mine `),
      );
    }
  }
});

test("the default API is named to the person before a sign-in, and no other", async (world) => {
  await using api = await startTrackingApi();
  const { onDeviceCode: _, apiHost: _1, ...options } = world.options;
  for (const more of [{}, { apiHost: api.apiHost }]) {
    using kernel = new FakeKernel();
    const run = () => init({ ...options, ...more, model: "m", fetch: refusing });
    await rejectsWith("api_error", run);
    const shown = kernel.displays.map(({ data }) => data["text/plain"]!).join("\n");
    assertEquals(
      shown.includes("The API is the default, http://localhost:5000/"),
      !("apiHost" in more),
    );
    await world.backend.delete(world.key);
  }
});

/** A `fetch` whose API always refuses. */
const refusing: typeof fetch = (input, init) =>
  String(input).includes("/tracking/")
    ? Promise.resolve(new Response("no", { status: 400 }))
    : fetch(input, init);
