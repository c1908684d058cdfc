import { assertEquals, assertStringIncludes } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { createSession } from "../../../client/create_session.ts";
import type { Session } from "../../../client/session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import {
  oauthError,
  resetConnection,
  type ScriptedProvider,
} from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { tempDir } from "../../support/temp_home.ts";
import { oidcProviderWorld, type ProviderWorld, test } from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

test.realSignedIn("clear: the entry is gone, the provider is not asked", async ({ session, ...world }) => {
  const { access_token } = world.stored();
  world.provider.reset();
  assertEquals(await session.clear(), { keys: [world.key], revocation: "not_requested" });
  assertEquals([world.backend.get(world.key), world.provider.requests], [undefined, []]);
  assertEquals(await world.provider.isActive(access_token), true);
  await rejectsWith("login_required", () => session.accessToken());
  assertEquals(await session.clear(), { keys: [], revocation: "not_requested" });
  const again = await session.clear({ revoke: true });
  assertEquals(again, { keys: [], revocation: "nothing_to_revoke" });
  assertEquals(world.provider.requests, []);
});

for (const issueRefreshToken of [true, false]) {
  Deno.test(`clear: revoke ends each token at the provider, refresh token: ${issueRefreshToken}`, async () => {
    await using world = await oidcProviderWorld({ issueRefreshToken });
    const session = await createSession(world.options);
    const { access_token, refresh_token } = world.stored();
    world.provider.reset();
    const result = await session.clear({ revoke: true });
    assertEquals(result, { keys: [world.key], revocation: "revoked" });
    const sent = world.provider.requests.map(({ path, form }) => [path, form.token]);
    const tokens = [refresh_token, access_token].filter((token) => token != null);
    const hashes = await Promise.all(tokens.map(sha256Hex));
    assertEquals(sent.filter(([path]) => path === "/token/revocation").map(([, t]) => t), hashes);
    for (const token of tokens) assertEquals(await world.provider.isActive(token), false);
  });
}

type Scripted = ProviderWorld<ScriptedProvider>;

const UNREVOKED: [
  what: string,
  spoil: (world: Scripted) => void,
  result: string,
  reason: string,
][] = [
  [
    "a provider without revocation",
    ({ provider }) => {
      provider.discovery = { revocation_endpoint: undefined };
    },
    "not_supported",
    "no revocation endpoint",
  ],
  [
    "a provider that is down",
    ({ provider }) => {
      provider.script.revocation.push(resetConnection, resetConnection);
    },
    "failed",
    "http://",
  ],
  [
    "a refusal",
    ({ provider }) => {
      provider.script.revocation.push(() => oauthError("unsupported_token_type"));
    },
    "failed",
    "unsupported_token_type",
  ],
  [
    "an access token that is not revoked by itself",
    ({ provider }) => {
      provider.script.revocation.push(
        () => new Response(),
        () => oauthError("unsupported_token_type"),
      );
    },
    "revoked",
    "does not revoke access tokens of this kind",
  ],
];

for (const [what, spoil, expected, word] of UNREVOKED) {
  test(`clear: ${what} is told, and the entry is gone`, async (world) => {
    spoil(world);
    const session = await createSession(world.options);
    const secrets = tokensOf(world.stored());
    const result = await session.clear({ revoke: true });
    assertEquals([result.keys, result.revocation], [[world.key], expected]);
    assertStringIncludes(result.reason!, word);
    assertEquals(world.backend.get(world.key), undefined);
    assertNoSecret(result, secrets);
  });
}

const NOT_OURS: [what: string, text: string][] = [
  ["another program's", '{"credentials": {"me": "password"}, "theme": "dark"}'],
  ["one with a list", '{"version": 1, "credentials": ["a", "b"]}'],
  ["a broken one", "{ broken"],
];

for (const [what, text] of NOT_OURS) {
  test(`clear: a file that is ${what} stays as it was`, async (world) => {
    await using dir = await tempDir();
    const path = `${dir.path}/credentials.json`;
    const credentialsBackend = new FileCredentialsBackend({ path });
    const session: Session = await createSession({ ...world.options, credentialsBackend });
    const { issuer, clientId } = world.provider;
    await Deno.writeTextFile(path, text);
    const isOwn = text.includes("theme"); // a JSON object of credentials, of which none is removed
    const named = { issuer, clientId, credentialsBackend };
    for (const clear of [() => session.clear(), () => clearOidcCredentials(named)]) {
      if (isOwn) await clear().catch(() => undefined);
      else await rejectsWith("backend_corrupt", clear, "all: true");
      assertEquals(await Deno.readTextFile(path), text);
    }
  });
}
