import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { credentialKey, isExpired, parseExpiry } from "../../../client/entry.ts";
import { toEntry } from "../../../client/tokens/new_entry.ts";
import { sandbox } from "../../support/sandbox.ts";

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

/** What this module writes after a sign-in. */
function signedIn(now: number): OidcCredentials {
  return toEntry(
    { accessToken: "access", refreshToken: "refresh", expiresIn: 3600 },
    {
      kind: "oidc",
      issuer: "https://login.example.com",
      clientId: "my-app",
      audience: "https://api.example.com",
      scope: "openid",
    },
    "access_token",
    now,
  );
}

Deno.test("credentialKey finds every row that Python wrote, in each spelling", async () => {
  const backend = fromPython();
  assertEquals(backend.get(KEY_A)?.access_token, "fixture-access-a");
  assertEquals(backend.get(KEY_B)?.access_token, "fixture-access-b");
  assertEquals(backend.get(KEY_C)?.access_token, "fixture-access-c");
  assertEquals((await Array.fromAsync(backend.list())).sort(), [KEY_A, KEY_B, KEY_C].sort());
});

Deno.test("a row of Python comes as it stands: nulls, quotes, microseconds, unicode, extras", () => {
  const backend = fromPython();
  assertEquals(backend.get(KEY_A), {
    issuer: "https://login.example.com/tenant/v2.0",
    client_id: "client-a",
    access_token: "fixture-access-a",
    refresh_token: "fixture-refresh-a",
    id_token: null,
    expires_at: "2094-12-13T02:02:00.941682+00:00",
  });
  assertEquals(backend.get(KEY_B)?.client_id, '"client-b"');
  assertEquals(backend.get(KEY_B)?.refresh_token, null);
  assertEquals(backend.get(KEY_C)?.issuer, "https://idp.example.com/realms/größe");
  assertEquals(backend.get(KEY_C)?.x_extra, { kept: [1, 2, null] });
});

Deno.test("the expiry of a row of Python is understood, with its microseconds", () => {
  const backend = fromPython();
  const rows = [KEY_A, KEY_B, KEY_C].map((key) => backend.get(key));
  assertEquals(rows.map((row) => isExpired(row ?? {})), [false, true, false]);
  assertEquals(parseExpiry(rows[1]?.expires_at), Date.UTC(2020, 0, 1, 0, 0, 0, 123));
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
import { mustRun, succeeds } from "../../support/deno_process.ts";

Deno.test({
  name: `Python reads what this module wrote${hasPython ? "" : " (ignored: there is no python3)"}`,
  ignore: !hasPython,
  async fn() {
    const backend = fromPython();
    const now = Date.UTC(2030, 1, 2, 3, 4, 5, 67);
    const key = "https://idp.example.com|größe 🔑";
    await backend.put(key, signedIn(now));
    const stdout = await mustRun(["python3", "-c", SCRIPT, backend.path]);
    const lines = stdout.trim().split(/\r?\n/);
    assertEquals(lines.length, 4);
    const line = lines.find((line) => line.startsWith("https://idp.example.com|"));
    assertEquals(line, `https://idp.example.com|gr\\xf6\\xdfe \\U0001f511 ${now + 3_600_000}`);
  },
});
