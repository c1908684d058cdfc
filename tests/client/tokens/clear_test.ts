import { assert, assertEquals, assertRejects } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { tempDir } from "../../support/temp_home.ts";
import { paths } from "../../support/request_log.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("clear: the entry is gone, the provider is not asked", async () => {
  await using world = await oidcProviderWorld();
  const session = await createSession(world.options);
  const { access_token } = world.stored();
  world.provider.reset();
  assertEquals(await session.clear(), { keys: [world.key], revocation: "not_requested" });
  assertEquals([world.backend.get(world.key), world.provider.requests], [undefined, []]);
  assert(await world.provider.isActive(access_token));
  await rejectsWith("login_required", () => session.accessToken());
  assertEquals(await session.clear(), { keys: [], revocation: "not_requested" });
});

Deno.test("clear: revoke ends both tokens at the provider", async () => {
  await using world = await oidcProviderWorld();
  const session = await createSession(world.options);
  const { access_token, refresh_token } = world.stored();
  world.provider.reset();
  const result = await session.clear({ revoke: true });
  assertEquals(result, { keys: [world.key], revocation: "revoked" });
  assertEquals(await world.provider.isActive(access_token), false);
  assertEquals(await world.provider.isActive(refresh_token!), false);
  const [refresh, access] = world.provider.requests;
  assertEquals(paths(world.provider.requests), ["/token/revocation", "/token/revocation"]);
  assertEquals(refresh?.form.token, await sha256Hex(refresh_token!));
  assertEquals(access?.form.token, await sha256Hex(access_token));
});

Deno.test("clear: revoke without a refresh token ends the access token", async () => {
  await using world = await oidcProviderWorld({ issueRefreshToken: false });
  const session = await createSession(world.options);
  const { access_token } = world.stored();
  assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
  assertEquals(await world.provider.isActive(access_token), false);
});

Deno.test("clear: revoke with nothing stored", async () => {
  await using world = await oidcProviderWorld();
  const session = await createSession(world.options);
  await session.clear();
  world.provider.reset();
  const result = await session.clear({ revoke: true });
  assertEquals(result, { keys: [], revocation: "nothing_to_revoke" });
  assertEquals(world.provider.requests, []);
});

Deno.test("clear: a provider without revocation is told, and the entry is gone", async () => {
  await using world = await oidcProviderWorld({ revocation: false });
  const session = await createSession(world.options);
  const { keys, revocation, reason } = await session.clear({ revoke: true });
  assertEquals([keys, revocation, typeof reason], [[world.key], "not_supported", "string"]);
  assertEquals(world.backend.get(world.key), undefined);
});

Deno.test("clear: a provider that is down cannot keep the entry", async () => {
  await using world = await scriptedProviderWorld();
  let isDown = false;
  const fetch = spyFetch((url, init) => {
    if (isDown) throw new TypeError("down");
    return globalThis.fetch(url, init);
  });
  const session = await createSession({ ...world.options, fetch });
  const secrets = tokensOf(world.stored());
  isDown = true;
  const result = await session.clear({ revoke: true });
  assertEquals([result.keys, result.revocation], [[world.key], "failed"]);
  assert(result.reason?.includes(world.provider.issuer));
  assertEquals(world.backend.get(world.key), undefined);
  assertNoSecret(result, secrets);
});

Deno.test("clear: a revocation that is refused is reported", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  world.provider.script.revocation.push(() => oauthError("unsupported_token_type"));
  const { revocation, reason } = await session.clear({ revoke: true });
  assertEquals([revocation, reason?.includes("unsupported_token_type")], ["failed", true]);
});

const NOT_OURS: [what: string, text: string][] = [
  ["another program's", '{"credentials": {"me": "password"}, "theme": "dark"}'],
  ["one with a list", '{"version": 1, "credentials": ["a", "b"]}'],
  ["a broken one", "{ broken"],
];

for (const [what, text] of NOT_OURS) {
  Deno.test(`clear: a file that is ${what} stays as it was`, async () => {
    await using world = await scriptedProviderWorld();
    await using dir = await tempDir();
    const path = `${dir.path}/credentials.json`;
    const credentialsBackend = new FileCredentialsBackend({ path });
    const session = await createSession({ ...world.options, credentialsBackend });
    const { issuer, clientId } = world.provider;
    await Deno.writeTextFile(path, text);
    const isOwn = text.includes("theme"); // a JSON object of credentials, of which none is removed
    for (const revoke of [false, true]) {
      for (
        const clear of [
          () => session.clear({ revoke }),
          () => clearOidcCredentials({ issuer, clientId, credentialsBackend, revoke }),
        ]
      ) {
        if (isOwn) await clear().catch(() => undefined);
        else await rejectsWith("backend_corrupt", clear, "all: true");
        assertEquals(await Deno.readTextFile(path), text);
      }
    }
  });
}

Deno.test("clear: a corrupt store is an error", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  const problem = new CredentialsBackendError("backend_corrupt", "Cannot read it.");
  backend.before = () => {
    throw problem;
  };
  assertEquals(await assertRejects(() => session.clear()), problem);
});

Deno.test("clear: a lock that cannot be had does not keep the entry", async () => {
  await using world = await scriptedProviderWorld();
  let isLocked = false;
  const backend = Object.assign(new SpyBackend(), {
    withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
      if (!isLocked) return fn();
      return Promise.reject(new CredentialsBackendError("backend_locked", "Cannot lock it."));
    },
  });
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  isLocked = true;
  assertEquals((await session.clear()).keys, [world.key]);
  assertEquals(backend.rows.size, 0);
});

Deno.test("clear: a store that cannot be written is an error, not a success", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  const problem = new CredentialsBackendError("backend_denied", "Cannot write it.");
  backend.before = (method) => {
    if (method === "delete") throw problem;
  };
  assertEquals(await assertRejects(() => session.clear({ revoke: true })), problem);
});
