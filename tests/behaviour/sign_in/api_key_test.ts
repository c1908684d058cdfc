import { assertEquals } from "@std/assert";
import {
  getDefaultBackend,
  setDefaultBackend,
} from "../../../backends/resolve_credentials_backend.ts";
import { getSession, init } from "../../../client/init.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { setActiveSession } from "../../../client/signed_in/session.ts";
import { createSession } from "../../../client/create_session.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { isPosix } from "../../support/sandbox.ts";
import { tempDir, withTempHome } from "../../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../../support/tracking_api.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";

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

Deno.test("API key: the secret comes from a file that is closed to others, and an option wins", async () => {
  await untouched(async (api) => {
    await using dir = await tempDir();
    const apiSecretFile = `${dir.path}/secret`;
    await Deno.writeTextFile(apiSecretFile, `${KEY.apiSecret}\n`, { mode: 0o600 });
    Deno.env.set("VM_API_SECRET", "of the shell");
    const options = { apiKey: KEY.apiKey, apiHost: api.apiHost };
    await (await createSession({ ...options, apiSecretFile })).get("thing");
    Deno.env.delete("VM_API_SECRET");
    Deno.env.set("VM_API_SECRET_FILE", apiSecretFile);
    await (await createSession(options)).get("thing");
    const sent = await sha256Hex(KEY.apiSecret);
    assertEquals(api.requests.map(({ headers }) => headers["x-api-secret"]), [sent, sent]);
    const rows: [text: string, mode: number, code: AnyErrorCode, ...words: string[]][] = [
      ["", 0o600, "client_auth_unusable", "empty", "VM_API_SECRET_FILE"],
      ["a\nb", 0o600, "invalid_options", "HTTP header", "VM_API_SECRET_FILE"],
      ["a", 0o666, "client_auth_unusable", "others may write it", "chmod"],
    ];
    for (const [text, mode, code, ...words] of isPosix ? rows : rows.slice(0, 2)) {
      await Deno.writeTextFile(apiSecretFile, text);
      if (isPosix) await Deno.chmod(apiSecretFile, mode);
      await rejectsWith(code, () => createSession(options), ...words);
    }
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
