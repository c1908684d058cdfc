import { assertEquals } from "@std/assert";
import { credentialKey, FileCredentialsBackend, isExpired } from "@validmind/auth";
import { parseExpiry } from "../../../backends/is_expired.ts";
import { toEntry } from "../../../client/tokens/new_entry.ts";
import { mustRun, succeeds } from "../../support/deno_process.ts";
import { sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";

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
const pythonTest = testWith({ whyNot: hasPython ? undefined : "there is no python3" });

pythonTest("Python reads what this module wrote", async () => {
  const backend = fromPython();
  const now = Date.UTC(2030, 1, 2, 3, 4, 5, 67);
  const identity = { issuer: "https://login.example.com", clientId: "my-app", scope: "openid" };
  const tokens = {
    accessToken: "access",
    refreshToken: "refresh",
    expiresIn: 3600,
    time: { sentAt: now, sent: now },
  };
  const row = toEntry(tokens, { kind: "oidc", ...identity }, "access_token", now);
  await backend.put("https://idp.example.com|größe 🔑", row);
  const stdout = await mustRun(["python3", "-c", SCRIPT, backend.path]);
  const lines = stdout.trim().split(/\r?\n/);
  assertEquals(lines.length, 4);
  const line = lines.find((line) => line.startsWith("https://idp.example.com|"));
  assertEquals(line, `https://idp.example.com|gr\\xf6\\xdfe \\U0001f511 ${now + 3_600_000}`);
});
