import { FileCredentialsBackend } from "../../../../backends/file.ts";
import { runCli } from "../../../../client/cli.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { fakeBrowser } from "../../../support/fake_browser.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { OwnStreams } from "../../../support/own_streams.ts";
import { wordsIn } from "../../../support/permission_flags.ts";
import { BY_KEY, cliTest, ENDED, NO_CLIENT, quoted } from "../cli_world.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";

cliTest("login: --json prints the report; the prompt stays on standard error", async (world) => {
  const { json, stdout, stderr } = await world.says("login --json", 0);
  assertEquals([json.state, json.subject], ["valid", "analyst@example.com"]);
  assertStringIncludes(stderr, "user_code=");
  assertNoSecret(stdout, [world.stored().access_token, world.stored().refresh_token!]);
  // A scheme in capitals is the same one.
  await world.says(`VM_OIDC_ISSUER=${world.provider.issuer.replace("http", "HTTP")} login`, 0);
});

cliTest("login: asks on standard error, stores, and keeps a sign-in that serves", async (world) => {
  const who = /^Signed in +as analyst@example\.com$/m;
  const { stderr } = await world.says("VM_OIDC_INTERACTIVE=0 login", 0, who);
  assertStringIncludes(stderr, world.provider.issuer);
  assertEquals(typeof world.stored().refresh_token, "string");

  world.provider.reset();
  const again = await world.says("login --json", 0);
  assertEquals(again.stderr, "");
  assertEquals(again.json.state, "valid");
  const already = /^Already signed in.*run logout first\.\nSigned in +as .*\n(.*\n)+Token +valid/;
  await world.says("login", 0, already);
  assertEquals(world.provider.requests, [], "a sign-in that serves was thrown away");
  await world.amend({ expires_at: ENDED });
  await world.says("login", 0, already);

  for (const isBoth of [true, false]) {
    await world.says("logout", 0);
    using _ = new OwnEnv(world.env);
    using streams = new OwnStreams({ terminal: { columns: 0, rows: 0 } });
    if (!isBoth) Object.assign(Deno.stderr, { isTerminal: () => false }); // `2>file`
    assertEquals(await runCli(["login"]), 0);
    assertEquals(
      streams.written.stdout === "",
      isBoth,
      "the terminal was told twice, or not at all",
    );
    assertStringIncludes(streams.written.stderr, "\nSigned in as analyst");
  }
});

cliTest("login: with an API key nobody signs in, and nobody was", async (world) => {
  const words = /^An API key is set \(VM_API_KEY\)\. .*nobody signs in\.\n$/;
  assertEquals((await world.says("login", 0, words, { env: BY_KEY })).stderr, "");
  const { json } = await world.says("login --json", 0, { env: BY_KEY });
  assertEquals(json, { signed_in: true, state: "api_key" });
  assertEquals(world.provider.requests, []);
});

cliTest("login: a refusal by the person is a failure, and nothing is stored", async (world) => {
  world.provider.autoApprove = { deny: true };
  assertEquals((await world.says("login", 1, "error (device_code_denied): Cannot")).stdout, "");
  assertEquals(world.backend.get(world.key), undefined);
});

cliTest("login: --open opens the browser by the listed permission", async (world) => {
  await using browser = await fakeBrowser();
  const { env } = browser;
  const { json } = await world.says("permissions --for cli --open --json", 0, { env });
  assertStringIncludes(json.flags, "--allow-run=xdg-open");
  await world.says("login --open", 0, { env, flags: wordsIn(json.flags) });
  assertStringIncludes(await browser.page(), world.provider.issuer);
}, { ignore: Deno.build.os !== "linux" });

cliTest("login: a profile has an entry of its own, for every command", async (world) => {
  await world.says("login --profile second", 0);
  assertEquals(world.backend.get(world.key), undefined);
  const { json } = await world.says("status --json --profile second", 0);
  assertEquals([json.state, json.profile], ["valid", "second"]);
  await world.says("status", 4);
  await world.says("token --profile second", 0);
  await world.says("VM_OIDC_PROFILE=second status", 0);
  await world.says("doctor --profile second", 0, /^ok +sign-in/m);
  await world.says("logout --profile second", 0);
  await world.says("status --profile second", 4);
});

cliTest("login: a backend's options come from a file with variables", async (world) => {
  await world.write('{"path": "${HOME}/${TEAM}/tokens.json"}', "options.json");
  const byFile = "--backend file --backend-options options.json";
  await world.says(`TEAM=red login ${byFile}`, 0);
  await Deno.stat(`${world.home}/red/tokens.json`);
  await world.says(`TEAM=red status ${byFile}`, 0);
  await world.says(`status ${byFile}`, 2, "Cannot expand ${TEAM} in --backend-options FILE: ");
});

cliTest("logout: removes the entry; --revoke ends the tokens", async (world) => {
  await world.signIn();
  assertEquals((await world.says("logout", 0)).stdout, `Removed ${world.key}\n`);
  assertEquals([world.backend.get(world.key), world.provider.requests], [undefined, []]);
  const words = /^Nobody was signed in\. To see all sign-ins: validmind-auth list\n$/;
  await world.says("logout", 0, words);
  await world.says("logout --all", 0, /^No sign-in is kept in .*credentials\.json\)\.\n$/);

  await world.says("logout --revoke", 0, "There was nothing to revoke");
  const { refresh_token } = await world.signIn();
  const { json } = await world.says("logout --revoke --json", 0);
  assertEquals(json, { keys: [world.key], revocation: "revoked", whole_store: false });
  assertEquals(await world.provider.isActive(refresh_token!), false);
});

cliTest("logout: a revocation that did not happen is exit code 1", async (world) => {
  const words = "The tokens could not be revoked: the provider has no";
  await world.signIn();
  await world.says("logout --revoke", 1, words);
  assertEquals(world.backend.get(world.key), undefined);
}, { options: { revocation: false } });

cliTest("logout: --all removes everybody, and needs no settings", async (world) => {
  const others = ["https://other.example|app", world.key].toSorted();
  for (const key of others) await world.backend.put(key, { ...await world.signIn() });
  const { json } = await world.says("logout --all --json", 0, { env: NO_CLIENT });
  assertEquals(json.keys.toSorted(), others);
  assertEquals(await Array.fromAsync(world.backend.list()), []);
});

cliTest("logout: a damaged store stays, unless --all deletes it", async (world) => {
  const damaged = '{"version": 1, "credentials": {"a';
  const path = await world.write(damaged, ".validmind/credentials.json");
  const words = [
    "error (backend_corrupt): Cannot",
    "\nTo remove it: validmind-auth logout --all\n",
  ];
  for (const line of ["logout", "logout --revoke"]) {
    assertEquals((await world.says(line, 1, ...words)).stdout, "");
    assertEquals(await Deno.readTextFile(path), damaged);
  }
  await world.says("logout --all", 0, "Removed the whole store");
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
});

cliTest("logout: --all deletes no store that is only away", async (world) => {
  const deleted = `${world.home}/deleted`;
  const path = await world.write(
    `export class Away {
      get() {} put() {} delete() {}
      deleteAll() { Deno.writeTextFileSync(${JSON.stringify(deleted)}, ""); }
      async *list() { throw new Error("away"); }
    }`,
    "away.ts",
  );
  const words = "error (backend_unavailable): Cannot list credentials";
  assertEquals(
    (await world.says(`logout --all --backend ${quoted(path)}:Away`, 1, words)).stdout,
    "",
  );
  await assertRejects(() => Deno.stat(deleted), Deno.errors.NotFound);
});

cliTest("migrate: copies with a warning; --delete-source moves", async (world) => {
  const entry = await world.signIn();
  const path = `${world.home}/new/tokens.json`;
  const to = new FileCredentialsBackend({ path });
  await world.write({ path }, "to.json");
  const warning = "warning: 1 refresh token(s) are now in both places";
  const migrate = "migrate --from file --to file --to-options to.json";
  const copied = await world.says(migrate, 0, warning, "config set");
  const [, store] = /To use the new store, add( --backend .*)\. To/.exec(copied.stdout)!;
  await world.says(`status${store}`, 0, path);
  assertEquals(copied.stdout.split("\n", 1), [`Copied   ${world.key}`]);
  assertEquals([to.get(world.key), world.stored()], [entry, entry]);
  await to.delete(world.key);

  const env = {
    VM_OIDC_CREDENTIALS_BACKEND: "file",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path }),
  };
  const moved = await world.says("migrate --from file --delete-source --json", 0, { env });
  const report = { copied: [world.key], kept: [], deleted: [world.key], live_copies: [] };
  assertEquals([moved.json, moved.stderr], [report, ""]);
  assertEquals([to.get(world.key), world.backend.get(world.key)], [entry, undefined]);
  const words = /^There is nothing to migrate in .*credentials\.json\)\.\n$/;
  await world.says("migrate --from file", 0, words, { env });
});
