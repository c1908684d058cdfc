import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  getDefaultBackend,
  setDefaultBackend,
} from "../../../backends/resolve_credentials_backend.ts";
import { getSession, init } from "../../../client/init.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { setActiveSession } from "../../../client/signed_in/session.ts";
import { createSession } from "../../../client/create_session.ts";
import { runDeno } from "../../support/deno_process.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../../support/tracking_api.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const KEY = { apiKey: "test-api-key", apiSecret: "test-api-secret" };

/** Runs without variables, with a home and a backend that must not be touched. */
async function untouched(
  run: (api: TrackingApi) => Promise<void>,
): Promise<void> {
  await using api = await startTrackingApi();
  await withTempHome(async (home) => {
    const backend = new SpyBackend();
    setDefaultBackend(backend);
    try {
      await run(api);
      assertEquals([backend.calls, [...Deno.readDirSync(home)]], [[], []]);
      assertEquals(getDefaultBackend(), backend);
    } finally {
      setDefaultBackend(undefined);
      setActiveSession(undefined);
    }
  });
}

Deno.test("API key: the ping carries key, secret and the model's headers, and no bearer", async () => {
  await untouched(async (api) => {
    const session = await init({ ...KEY, apiHost: api.apiHost, model: "cl-1", document: "d" });
    const { headers } = api.requests[0]!;
    assertEquals(headers["x-api-key"], await sha256Hex(KEY.apiKey));
    assertEquals(headers["x-api-secret"], await sha256Hex(KEY.apiSecret));
    assertEquals([headers["x-model-cuid"], headers["x-monitoring"]], ["cl-1", "False"]);
    assertEquals(headers["x-document-type"], "d");
    assertEquals("authorization" in headers, false);
    assertEquals([session.issuer, session.clientId, session.backend], [
      undefined,
      undefined,
      undefined,
    ]);
    assertEquals(session.info?.model.name, "Credit Risk Model");
    assertEquals(await session.status(), { kind: "api_key", signedIn: true });
    assertEquals(getSession(), session);
  });
});

Deno.test("API key: there is no access token", async () => {
  await untouched(async (api) => {
    const session = await createSession({ ...KEY, apiHost: api.apiHost });
    await rejectsWith("no_access_token", () => session.accessToken(), "headers()");
    await rejectsWith("no_access_token", () => session.accessToken({ forceRefresh: true }));
    const headers = await session.headers();
    assertEquals([...headers.keys()], ["x-api-key", "x-api-secret"]);
  });
});

Deno.test("API key: clear does nothing, also through clearOidcCredentials", async () => {
  await untouched(async (api) => {
    const session = await init({ ...KEY, apiHost: api.apiHost, model: "m" });
    const nothing = { keys: [], revocation: "nothing_to_revoke" } as const;
    assertEquals(await session.clear({ revoke: true }), nothing);
    Deno.env.set("VM_API_KEY", KEY.apiKey);
    Deno.env.set("VM_API_SECRET", KEY.apiSecret);
    assertEquals(await clearOidcCredentials({ revoke: true }), nothing);
    assertEquals((await session.get("thing") as { method: string }).method, "GET");
  });
});

Deno.test("API key: a 401 is not tried again", async () => {
  await untouched(async (api) => {
    const session = await createSession({ ...KEY, apiHost: api.apiHost });
    api.reject(1);
    await rejectsWith("unauthorized", () => session.get("thing"), "401");
    assertEquals(api.requests.length, 1);
  });
});

Deno.test("API key: an echo of key or secret is taken out of errors", async () => {
  await untouched(async (api) => {
    const session = await createSession({ ...KEY, apiHost: api.apiHost });
    api.script.push((request) =>
      new Response(JSON.stringify([...request.headers]), { status: 500 })
    );
    const error = await rejectsWith("api_error", () => session.get("thing"), "[removed]");
    assertEquals(Deno.inspect(error).includes(KEY.apiKey), false);
    assertEquals(Deno.inspect(error).includes(KEY.apiSecret), false);
  });
});

Deno.test("API key: a closed session", async () => {
  await untouched(async (api) => {
    const session = await createSession({ ...KEY, apiHost: api.apiHost });
    await session.close();
    assertEquals(await session.status(), { kind: "api_key", signedIn: false });
    await rejectsWith("session_closed", () => session.headers());
    await rejectsWith("session_closed", () => session.accessToken());
  });
});

Deno.test('API key: the placeholder "..." of a notebook takes the environment\'s', async () => {
  await untouched(async (api) => {
    Deno.env.set("VM_API_KEY", KEY.apiKey);
    Deno.env.set("VM_API_SECRET", KEY.apiSecret);
    Deno.env.set("VM_API_HOST", api.apiHost);
    Deno.env.set("VM_API_MODEL", "cl-env");
    const dots = { apiKey: "...", apiSecret: "...", apiHost: "...", model: "..." };
    const session = await init(dots);
    assertEquals([session.model, session.apiHost], ["cl-env", api.apiHost]);
  });
});

Deno.test("API key: a network permission that the caller's own fetch lacks is named", async () => {
  const mod = new URL("../../../mod.ts", import.meta.url).href;
  const code = `
    import { createSession } from ${JSON.stringify(mod)};
    const session = await createSession({ apiKey: "k", apiSecret: "s",
      apiHost: "https://api.example.com:8443/v1/", fetch: (...request) => fetch(...request) });
    await session.get("thing").catch((error) => console.log(error.code, error.message));
  `;
  const { stdout } = await runDeno({ code });
  assertStringIncludes(stdout, "permission_required Cannot reach https://api.example.com:8443/v1/");
  assertStringIncludes(stdout, "--allow-net=api.example.com:8443");
});
