import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { migrateCredentials } from "../../../backends/migrate_credentials.ts";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { tempDir } from "../../support/temp_home.ts";
import { HOUR, renew, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";
import { credentialKey, isExpired, parseExpiry } from "../../../client/entry.ts";
import { toEntry } from "../../../client/tokens/renewal_result.ts";
import { mustRun, succeeds } from "../../support/deno_process.ts";
import { sandbox } from "../../support/sandbox.ts";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";

test.real("encrypted file: sign-in, start, refresh with rotation and sign-out at a real provider", async (world) => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const open = async () =>
    new EncryptedCredentialsBackend({
      backend: new FileCredentialsBackend({ path }),
      key: await testKey(),
    });
  const options = { credentialsBackend: await open() };
  await world.signIn(); // plain, and moved
  const moved = { deleteSource: true };
  await migrateCredentials(world.backend, options.credentialsBackend, moved);
  const first = (await options.credentialsBackend.get(world.key))!;
  assertNoSecret(await Deno.readTextFile(path), tokensOf(first));

  world.provider.reset();
  const session = await world.signIn({ credentialsBackend: await open() });
  assertEquals([world.provider.requests.length, world.codes.length], [0, 1]);
  world.clock.advance(HOUR);
  const token = await session.accessToken();
  const second = (await (await open()).get(world.key))!;
  assertEquals(second.access_token, token);
  assertNotEquals(second.refresh_token, first.refresh_token);
  assertNoSecret(await Deno.readTextFile(path), [...tokensOf(first), ...tokensOf(second)]);
  assertNoSecret(await session.status(), tokensOf(second));

  const { keys, revocation } = await session.clear({ revoke: true });
  assertEquals([keys, revocation], [[world.key], "revoked"]);
  assertEquals(JSON.parse(await Deno.readTextFile(path)).credentials, {});
});

test.real("fallback: without the first store a person signs in to the second, and later ones go on", async (world) => {
  const second = new MemoryCredentialsBackend();
  const first = Object.assign(new SpyBackend(), { location: "first" });
  first.before = () => {
    throw new CredentialsBackendError("backend_unavailable", "Cannot reach it: cut. Wait.");
  };
  const told: string[] = [];
  const open = () =>
    new FallbackCredentialsBackend({
      backends: [first, second],
      onFallback: (message) => void told.push(message),
    });
  const session = await world.signIn({ credentialsBackend: open() });
  assert(second.get(world.key) !== undefined);
  assert(told[0]?.startsWith("first was passed over (backend_unavailable)"), told[0]);
  world.clock.advance(HOUR);
  assert(world.provider.isActive(await session.accessToken()));
  first.before = undefined; // from now on the first is there: the grant stays where it is, in one place
  world.clock.advance(HOUR);
  const later = await world.signIn({ credentialsBackend: open() });
  assert(world.provider.isActive(await later.accessToken()));
  assertEquals([first.rows.get(world.key), second.get(world.key) !== undefined], [undefined, true]);
  assert(world.provider.isActive(await renew(session)));
  assertEquals(world.codes.length, 1);
});

const { folder } = sandbox();
const FIXTURE = new URL("../../fixtures/credentials_from_python.json", import.meta.url);

const KEY_A = credentialKey("https://login.example.com/tenant/v2.0/", "client-a");
const KEY_B = credentialKey(
  "https://acme.eu.auth0.com/",
  '"client-b"',
  "https://api.example.com/v1",
);
const KEY_C = credentialKey(" https://idp.example.com/realms/größe ", "'klient-ß'");

/** A copy of what Python wrote, with the mode that Python gave it. */
function fromPython(): FileCredentialsBackend {
  const path = `${folder()}/credentials.json`;
  Deno.writeFileSync(path, Deno.readFileSync(FIXTURE), { mode: 0o600 });
  return new FileCredentialsBackend({ path });
}

Deno.test("credentialKey finds every row that Python wrote, in each spelling, as it stands", async () => {
  const backend = fromPython();
  assertEquals((await Array.fromAsync(backend.list())).sort(), [KEY_A, KEY_B, KEY_C].sort());
  const [a, b, c] = [KEY_A, KEY_B, KEY_C].map((key) => backend.get(key)!);
  assertEquals(a, {
    issuer: "https://login.example.com/tenant/v2.0",
    client_id: "client-a",
    access_token: "fixture-access-a",
    refresh_token: "fixture-refresh-a",
    id_token: null,
    expires_at: "2094-12-13T02:02:00.941682+00:00",
  });
  assertEquals([b!.access_token, b!.client_id], ["fixture-access-b", '"client-b"']);
  assertEquals(b!.refresh_token, null);
  assertEquals([c!.access_token, c!.issuer], [
    "fixture-access-c",
    "https://idp.example.com/realms/größe",
  ]);
  assertEquals(c!.x_extra, { kept: [1, 2, null] });
  assertEquals([a, b, c].map((row) => isExpired(row!)), [false, true, false]);
  assertEquals(parseExpiry(b!.expires_at), Date.UTC(2020, 0, 1, 0, 0, 0, 123));
});

const hasPython = await succeeds(["python3", "-c", "import datetime, json"]);
const SCRIPT = `
import json, sys
from datetime import datetime, timezone
with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
assert document["version"] == 1, document["version"]
for key, row in sorted(document["credentials"].items()):
    at = datetime.fromisoformat(row["expires_at"].replace("Z", "+00:00"))
    assert at.utcoffset().total_seconds() == 0
    print(key.encode("unicode_escape").decode(), round(at.timestamp() * 1000), sep=" ")
`;
Deno.test({
  name: `Python reads what this module wrote${hasPython ? "" : " (ignored: there is no python3)"}`,
  ignore: !hasPython,
  async fn() {
    const backend = fromPython();
    const now = Date.UTC(2030, 1, 2, 3, 4, 5, 67);
    const identity = { issuer: "https://login.example.com", clientId: "my-app", scope: "openid" };
    const tokens = { accessToken: "access", refreshToken: "refresh", expiresIn: 3600 };
    const row = toEntry(tokens, { kind: "oidc", ...identity }, "access_token", now);
    await backend.put("https://idp.example.com|größe 🔑", row);
    const stdout = await mustRun(["python3", "-c", SCRIPT, backend.path]);
    const lines = stdout.trim().split(/\r?\n/);
    assertEquals(lines.length, 4);
    const line = lines.find((line) => line.startsWith("https://idp.example.com|"));
    assertEquals(line, `https://idp.example.com|gr\\xf6\\xdfe \\U0001f511 ${now + 3_600_000}`);
  },
});
