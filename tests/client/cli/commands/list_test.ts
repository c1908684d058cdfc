import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { credentialKey } from "../../../../client/entry.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { tokensOf } from "../../../support/entries.ts";
import { cliTest, ENDED, NO_CLIENT } from "../cli_world.ts";

cliTest("list: nobody is signed in, and no settings are needed", async (world) => {
  const { code, stdout, stderr } = await world.run(["list"], { env: NO_CLIENT });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(
    stdout,
    `Nobody is signed in.\nKept in  FileCredentialsBackend (${world.backend.path})\n`,
  );
  assertEquals([...Deno.readDirSync(world.home)], [], "list wrote something");
});

cliTest("list: each sign-in with its end, and no token", async (world) => {
  const entry = await world.signIn();
  const { issuer, clientId } = world.provider;
  const ended = { ...entry, expires_at: ENDED, refresh_token: null };
  const key = (audience?: string, options = {}) =>
    credentialKey(issuer, clientId, audience, options);
  await world.backend.put(key(undefined, { profile: "work" }), entry);
  await world.backend.put(key("https://api.example|x", { dpop: true, profile: "lab" }), ended);
  await world.backend.put("probe|0f9a", entry); // a leftover of a process that was killed

  const text = await world.run(["list"], { env: NO_CLIENT });
  assertEquals([text.code, text.stderr], [0, ""]);
  assertMatch(text.stdout, /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m);
  assertMatch(text.stdout, /^Profile +work$/m);
  assertMatch(text.stdout, /^Audience +https:\/\/api\.example\|x$/m);
  assertMatch(text.stdout, /^Token +valid until .*, then refreshed without you$/m);
  assertMatch(text.stdout, /^Kept in +FileCredentialsBackend \(.*credentials\.json\)$/m);
  assert(!text.stdout.includes("probe"));

  const json = await world.run(["list", "--json"], { env: NO_CLIENT });
  const { backend, sign_ins } = JSON.parse(json.stdout);
  assertEquals(backend, {
    name: "FileCredentialsBackend",
    location: world.backend.path,
    persistent: true,
    declares_permissions: true,
  });
  assertEquals(sign_ins.length, 3);
  const [lab, plain, work] = sign_ins;
  assertEquals(
    [plain.state, plain.issuer, plain.client_id, plain.profile],
    ["valid", issuer, clientId, undefined],
  );
  assertEquals([plain.expires_at, plain.email], [entry.expires_at, "analyst@example.com"]);
  assertEquals([work.profile, work.dpop], ["work", undefined]);
  assertEquals(
    [lab.state, lab.profile, lab.dpop, lab.audience],
    ["expired", "lab", true, "https://api.example|x"],
  );
  for (const { stdout } of [text, json]) assertNoSecret(stdout, tokensOf(entry));
  assertEquals(world.provider.requests, []);
});

cliTest("list: stored text cannot reach the terminal's controls", async (world) => {
  const entry = await world.signIn();
  const claims = { sub: "\x1b[2Jx", name: "\u202egro", email: "a\nb@example.com" };
  const payload = new TextEncoder().encode(JSON.stringify(claims))
    .toBase64({ alphabet: "base64url", omitPadding: true });
  await world.backend.put("https://a.example\x1b]0;t\x07|c\r\nSigned in  as root|\x9b1m", {
    ...entry,
    scope: "openid\x1b[31m",
    id_token: `e.${payload}.s`,
  });
  for (const args of [["list"], ["list", "--json"]]) {
    const { stdout } = await world.run(args);
    assert(!/[\p{Cc}\p{Cf}]/u.test(stdout.replaceAll("\n", "")), JSON.stringify(stdout));
    assert(!/^Signed in +as root/m.test(stdout), stdout);
    assertStringIncludes(stdout, "https://a.example");
  }
});

cliTest("list: one entry that cannot be read hides no other, and is exit code 1", async (world) => {
  await world.signIn();
  const path = world.backend.path;
  const file = JSON.parse(await Deno.readTextFile(path));
  file.credentials["https://b.example|app"] = "no object";
  await Deno.writeTextFile(path, JSON.stringify(file));
  const text = await world.run(["list"]);
  assertEquals(text.code, 1);
  assertMatch(text.stdout, /^Signed in +as analyst/m);
  assertMatch(text.stdout, /^Unreadable +Cannot read credentials from .*is no object/m);
  assertMatch(
    text.stdout,
    /validmind-auth logout --issuer https:\/\/b\.example --client-id app\.$/m,
  );
  assertMatch(text.stdout, /^Provider +https:\/\/b\.example$/m);
  const { sign_ins } = JSON.parse((await world.run(["list", "--json"])).stdout);
  assertEquals(sign_ins[1].error.code, "backend_corrupt");
});

cliTest("list: a time that no date can hold is no failure", async (world) => {
  const entry = await world.signIn();
  const payload = new TextEncoder().encode('{"exp":1e300,"sub":"x"}')
    .toBase64({ alphabet: "base64url", omitPadding: true });
  const key = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0|app";
  await world.backend.put(key, { ...entry, id_token: `e.${payload}.s` });
  assertEquals((await world.run(["list"])).code, 0);
  assertEquals((await world.run(["list", "--json"])).code, 0);
});

cliTest("list: a store without a list is named, with the way out", async (world) => {
  const store = "data:text/javascript,export class TeamStore{get(){}put(){}delete(){}}:TeamStore";
  const { code, stderr } = await world.run(["list", "--backend", store]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "error (backend_no_list): Cannot list the sign-ins in TeamStore");
  assertStringIncludes(stderr, "status --issuer");
});
