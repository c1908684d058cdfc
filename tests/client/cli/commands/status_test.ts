import { assert, assertEquals, assertObjectMatch } from "@std/assert";
import { tokenText } from "../../../../client/cli/commands/status.ts";
import { credentialKey } from "../../../../client/credential_key.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { tokensOf } from "../../../support/entries.ts";
import { cliTest, type CliWorld, ENDED, NO_CLIENT, type Word } from "../cli_world.ts";

/** What every report says of the provider and the store. */
function known({ provider, backend: { path: location } }: CliWorld) {
  const backend = { name: "FileCredentialsBackend", location, persistent: true };
  const { issuer, clientId: client_id } = provider;
  return { issuer, client_id, backend };
}

cliTest("status: nobody is signed in", async (world) => {
  assertEquals((await world.says("status", 4, /^Not signed in\nProvider +http:/)).stderr, "");
  const { json } = await world.says("status --json", 4);
  assertEquals(json, { signed_in: false, state: "none", refreshable: false, ...known(world) });
  await world.says("status --profile two", 4, /^To sign in: validmind-auth login --profile two$/m);
  assertEquals([...Deno.readDirSync(world.home)], [], "status wrote something");
});

cliTest("status: who, until when and where, without network", async (world) => {
  const { expires_at } = await world.signIn();
  const words: Word[] = [
    /^Signed in +as analyst@example\.com$/m,
    /^Token +valid until \d{4}-\d\d-\d\d \d\d:\d\d \S+, then refreshed without you$/m,
    /^Kept in +FileCredentialsBackend \(.*credentials\.json\)$/m,
  ];
  assertEquals((await world.says("status", 0, ...words)).stderr, "");
  const { expires_in, ...report } = (await world.says("status --json", 0)).json;
  assert(expires_in > 3500 && expires_in <= 3600);
  assertEquals(report, {
    signed_in: true,
    state: "valid",
    ...known(world),
    scope: "openid profile email offline_access",
    subject: "analyst@example.com",
    name: "Ada Analyst",
    email: "analyst@example.com",
    expires_at,
    refreshable: true,
  });
  assertEquals(world.provider.requests, []);
});

type State = [state: string, change: Record<string, unknown>, flags: string, code: number, Word];

const STATES: State[] = [
  ["refreshable", { expires_at: ENDED }, "", 0, "refreshed without you at the next use"],
  ["expired", { expires_at: ENDED, refresh_token: null }, "", 4, /ended .+: run login/],
  ["other_scope", {}, "--scope 'openid admin'", 4, "not for all of the scope"],
];

cliTest("status: a sign-in that does not serve as it is", async (world) => {
  for (const [state, change, flags, code, words] of STATES) {
    await world.signIn();
    await world.amend(change);
    const signedIn = code === 0 ? /^Signed in / : /^Last signed in /;
    await world.says(`status ${flags}`, code, words, signedIn);
    assertEquals((await world.says(`status --json ${flags}`, code)).json.state, state);
    assertEquals(world.provider.requests, []);
    await world.backend.delete(world.key);
  }
});

cliTest("status: flags take the place of variables", async (world) => {
  await world.signIn();
  const { issuer, clientId } = world.provider;
  const env = { ...NO_CLIENT, VM_OIDC_NO_PERSIST: "1" };
  const line = `status --issuer ${issuer} --client-id ${clientId}`;
  await world.says(line, 4, { env }); // memory has nothing
  // By its path: a store that is opened by its name alone serves each later test, too.
  await world.write({ path: world.backend.path }, "own.json");
  const own = "--backend file --backend-options own.json";
  await world.says(`${line} ${own}`, 0, { env });
  await world.says(`${line} ${own} --audience other`, 4, { env });
});

cliTest("status, doctor: for a store that keeps nothing no login is named", async (world) => {
  for (const store of ["--backend memory", "--backend kv"]) {
    for (const [command, code] of [["status", 4], ["doctor", 1]] as const) {
      const words = `!login ${store}`;
      await world.says(`${command} ${store}`, code, "--backend file", words, "!: run login");
    }
  }
  const memory = { VM_OIDC_CREDENTIALS_BACKEND: "memory" };
  await world.says("status", 4, "!validmind-auth login", { env: memory });
  // Both ways that it names lead to a sign-in that is kept.
  await world.says("login --backend file", 0, { env: memory });
  await world.says("status --backend file", 0, { env: memory });
  await world.write({ backend: "memory" });
  await world.says("status", 4, "validmind-auth config set backend file");
  await world.says("config set backend file", 0);
  await world.says("status", 0);
  // The command line leaves a store open to the end of its process.
}, { sanitizeResources: false });

cliTest("status: a profile and bound tokens are sign-ins of their own", async (world) => {
  await world.signIn();
  const choices = [["--profile work", "work", undefined], ["--dpop", undefined, true]];
  for (const [flags, ...own] of choices) {
    const { state, profile, dpop } = (await world.says(`status --json ${flags}`, 4)).json;
    assertEquals([state, profile, dpop], ["none", ...own]);
  }
  await world.says("VM_OIDC_PROFILE=work status", 4, /^Profile +work$/m);
});

cliTest("status: the scope that was granted", async (world) => {
  const { scope: _, ...row } = await world.signIn();
  await world.amend({ granted_scope: "openid", refresh_token: null });
  const scope = /^Scope +openid profile email offline_access$/m;
  await world.says("status", 0, scope, /^Granted +openid$/m);
  assertEquals((await world.says("status --json", 0)).json.granted_scope, "openid");
  const unnamed = { ...row, id_token: null };
  await world.backend.put(world.key, unnamed as unknown as typeof row);
  await world.says("status", 0, /^Signed in +as a person without a name from the provider$/m);
});

cliTest("status: the entries of each key of an encrypted store", async (world) => {
  const [key, older] = [1, 2].map(() => crypto.getRandomValues(new Uint8Array(32)).toBase64());
  const [present, former] = [{ env: "NEW_KEY" }, { env: "OLD_KEY" }];
  const file = { name: "file", options: { path: world.backend.path } };
  const withStore = (options: object) => ({
    NEW_KEY: key!,
    OLD_KEY: older!,
    VM_OIDC_CREDENTIALS_BACKEND: "fallback",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({
      backends: [{ name: "encrypted", options: { backend: file, ...options } }],
    }),
  });
  await world.says("login", 0, { env: withStore({ key: former }) });
  const env = withStore({ key: present, olderKeys: [former] });
  await world.says("status", 0, /^Entries by +key: 0, olderKeys\[0\]: 1, no key: 0$/m, { env });
  const { json } = await world.says("status --json", 0, { env });
  assertEquals(json.key_use, { key: 0, olderKeys: [1], unknown: 0 });
  // A store that refuses to list its entries, or cannot, is no reason to fail.
  const unlisted = `${world.home}/unlisted.ts`;
  await Deno.writeTextFile(
    unlisted,
    `export class Unlisted { get() {} put() {} delete() {} }
    export class Refusing extends Unlisted { list() { throw new Error("not for you"); } }`,
  );
  for (const name of ["Refusing", "Unlisted"]) {
    const own = withStore({ backend: `${unlisted}:${name}`, key: present });
    await world.says("status", 4, "!Entries by", { env: own });
  }
});

cliTest("list: nobody is signed in, and no settings are needed", async (world) => {
  const { stdout, stderr } = await world.says("list", 0, { env: NO_CLIENT });
  const place = `FileCredentialsBackend (${world.backend.path})`;
  assertEquals([stdout, stderr], [`Nobody is signed in.\nKept in  ${place}\n`, ""]);
  assertEquals([...Deno.readDirSync(world.home)], [], "list wrote something");
});

cliTest("list: each sign-in with its end, and no token", async (world) => {
  const entry = await world.signIn();
  const { issuer, clientId } = world.provider;
  const key = (audience?: string, options = {}) =>
    credentialKey(issuer, clientId, audience, options);
  await world.backend.put(key(undefined, { profile: "work" }), entry);
  const ended = { ...entry, expires_at: ENDED, refresh_token: null };
  await world.backend.put(key("https://api.example|x", { dpop: true, profile: "lab" }), ended);
  await world.backend.put("probe|0f9a", entry); // a leftover of a process that was killed
  const text = await world.says(
    "list",
    0,
    /^Signed in +as analyst@example\.com$/m,
    /^Profile +work$/m,
    /^Audience +https:\/\/api\.example\|x$/m,
    /^Token +valid until .*, then refreshed without you$/m,
    /^Kept in +FileCredentialsBackend \(.*credentials\.json\)$/m,
    "!probe",
    { env: NO_CLIENT },
  );
  const { json, stdout } = await world.says("list --json", 0, { env: NO_CLIENT });
  assertEquals(json.backend.location, world.backend.path);
  // deno-lint-ignore no-explicit-any -- JSON
  const rows = json.sign_ins.map(({ state, profile, dpop, audience }: any) =>
    [state, profile, dpop, audience].filter(Boolean)
  );
  const lab = ["expired", "lab", true, "https://api.example|x"];
  assertEquals(rows, [lab, ["valid"], ["valid", "work"]]);
  const { expires_at } = entry;
  const own = { issuer, client_id: clientId, email: "analyst@example.com", expires_at };
  assertObjectMatch(json.sign_ins[1], own);
  for (const shown of [text.stdout, stdout]) assertNoSecret(shown, tokensOf(entry));
  assertEquals(world.provider.requests, []);
});

function idToken(claims: string): string {
  const payload = new TextEncoder().encode(claims);
  return `e.${payload.toBase64({ alphabet: "base64url", omitPadding: true })}.s`;
}

cliTest("list: stored text reaches no control of a terminal; any end is shown", async (world) => {
  const entry = await world.signIn();
  const entra = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0|app";
  const put = async (key: string, fields: object) => {
    const [issuer = "", client_id = ""] = key.split("|");
    await world.backend.put(key, { ...entry, issuer, client_id, ...fields });
  };
  await put(entra, { id_token: idToken('{"exp":1e300,"sub":"x"}') });
  const claims = { sub: "\x1b[2Jx", name: "\u202egro", email: "a\nb@example.com" };
  await put("https://a.example\x1b]0;t\x07|c\r\nSigned in  as root|\x9b1m", {
    scope: "openid\x1b[31m",
    id_token: idToken(JSON.stringify(claims)),
  });
  for (const line of ["list", "list --json"]) {
    const { stdout } = await world.says(line, 0, "https://a.example");
    assert(!/[\p{Cc}\p{Cf}]/u.test(stdout.replaceAll("\n", "")), JSON.stringify(stdout));
    assert(!/^Signed in +as root/m.test(stdout), stdout);
  }
});

cliTest("list: one entry that cannot be read hides no other, and is exit code 1", async (world) => {
  await world.signIn();
  const { path } = world.backend;
  const file = JSON.parse(await Deno.readTextFile(path));
  file.credentials["https://b.example|app"] = "no object";
  await Deno.writeTextFile(path, JSON.stringify(file));
  await world.says(
    "list",
    1,
    /^Signed in +as analyst/m,
    /^Unreadable +Cannot read credentials from .*is not an object/m,
    /To remove it: validmind-auth logout --issuer https:\/\/b\.example --client-id app$/m,
    /^Provider +https:\/\/b\.example$/m,
  );
  const { json } = await world.says("list --json", 1);
  assertEquals(json.sign_ins[1].error.code, "backend_corrupt");
  const store =
    "data:text/javascript,export class TeamStore{*list(){yield `a|b`}put(){}delete(){}" +
    "get(){throw new Error(`the vault is shut`)}}:TeamStore";
  const cause = /^Unreadable +Cannot read .*\.\n *caused by Error: the vault is shut$/m;
  await world.says(`list --backend '${store}'`, 1, cause);
});

cliTest("list: a store without a list is named, with the way out", async (world) => {
  const store = "data:text/javascript,export class TeamStore{get(){}put(){}delete(){}}:TeamStore";
  const words = "error (backend_no_list): Cannot list credentials in TeamStore";
  await world.says(`list --backend '${store}'`, 1, words, "status --issuer");
  const said = "with issuer (VM_OIDC_ISSUER, --issuer) and clientId";
  await world.says(`logout --all --backend '${store}'`, 1, words, said);
});

Deno.test("status: a token is valid to its last second", () => {
  const report = { state: "valid", expiresAt: new Date(0) } as Parameters<typeof tokenText>[0];
  assert(tokenText({ ...report, expiresIn: 1 }).startsWith("valid until"));
  assert(tokenText({ ...report, expiresIn: 0 }).startsWith("ended"));
  assertEquals(
    tokenText({ ...report, state: "expired", expiresAt: undefined }),
    "not there: run login",
  );
});
