import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { isPosix } from "../../support/sandbox.ts";
import { argumentsIn, BY_KEY, cliTest, NO_CLIENT } from "./cli_world.ts";

/** Words that mean something to a program, and nothing to a person at a shell. */
const API_WORDS =
  /\b(clientId|apiKey|apiSecret|credentialsBackend|createSession|clearOidc\w*|onDeviceCode|openBrowser|redirectUri|loginHint|authorizationParameters|bearer:)|\binit\(|\bpass the option\b/;
const ENTRA = "https://login.microsoftonline.com/common/v2.0";
const [ISSUER, CLIENT] = ["--issuer (VM_OIDC_ISSUER)", "--client-id (VM_OIDC_CLIENT_ID)"];
const FILE = ["--backend", "file", "--backend-options"];

/** Mistakes of a person by command, and words of the error. Variables stand before the command. */
const MISTAKES: [line: string, ...words: string[]][] = [
  ["login", "--issuer (VM_OIDC_ISSUER) and --client-id", "VM_API_KEY and VM_API_SECRET"],
  ["status", `error (missing_api_credentials): Cannot show the status`, ISSUER],
  ["logout", ISSUER],
  ["VM_OIDC_ISUER=x login", 'VM_OIDC_ISUER is set. Did you mean "VM_OIDC_ISSUER"?'],
  ["VM_OIDC_CLIENT_ID=c login", "--issuer", "VM_OIDC_ISSUER"],
  ["VM_OIDC_ISSUER=https://a.example login", CLIENT.slice(0, 11), "VM_OIDC_CLIENT_ID"],
];

/** Those of a person whose client is known. */
const MORE_MISTAKES: typeof MISTAKES = [
  ["VM_API_KEY=k VM_API_SECRET=s login", "--issuer", "--client-id", "VM_API_KEY"],
  ["login --client-id a|b", "--client-id"],
  ["VM_OIDC_PROFILE=a|b login", "--profile", "VM_OIDC_PROFILE"],
  ["login --issuer login.example.com", `${ISSUER} is not an http(s) URL`],
  ["login --issuer http://login.example.com", "insecure_url", "https:"],
  [`login --issuer ${ENTRA} --dpop`, "--dpop"],
  ["HOME= USERPROFILE= logout", '"path" in the options of the file store'],
  ["login --backend https://a.example/b.ts:Store", "--backend", "jsr:@acme/vault"],
  ["login --backend vault --backend-options vault.json", "VAULT_ADDR", '"address"'],
  ["login --backend fil", 'Cannot use --backend="fil"'],
  ["login --backend pkg:Store", 'Cannot use --backend="pkg:Store"'],
  ["login --backend memory", "keeps tokens only while this program runs"],
  ["VM_OIDC_NO_PERSIST=1 login", "keeps tokens only while this program runs"],
  ["login --backend-options x.json", "it needs --backend"],
  [
    `login ${FILE.join(" ")} no.json`,
    "Cannot read the file no.json of --backend-options: it is not",
  ],
  // Windows says no more of a folder than that it cannot be read.
  [
    `login ${FILE.join(" ")} .`,
    `the file . of --backend-options: it ${isPosix ? "is a folder" : ""}`,
  ],
  [`login ${FILE.join(" ")} wrong.json`, 'unknown option "pth"'],
  ["login --listen 0.0.0.0:80", ": --listen (VM_OIDC_LISTEN) is", "127.0.0.1:8765"],
  ["login --redirect-uri http://127.0.0.1:0/cb", ": --redirect-uri (VM_OIDC_REDIRECT_URI) is"],
  [
    "login --redirect-uri https://hub.example.com/cb",
    "an https: one with --listen (VM_OIDC_LISTEN)",
  ],
  ["login --parameter state=x", "--parameter takes no state", "by its own option"],
  ["login --parameter a\u00a0b=x", "--parameter takes no name of other characters"],
  ["login --parameter prompt", "--parameter", "NAME=VALUE"],
  ["login --config none.json", "error (settings_invalid): Cannot use the settings file none"],
  ["migrate", "neither --from nor --to is given"],
  ["migrate --to file --from-options x", "it needs --from"],
  ["migrate --from file --to memory", "keeps tokens only while this program runs"],
  ["migrate --from file --to kv --delete-source", "keeps tokens only while this program runs"],
  ["token --format yaml", "It takes: exec-credential, git, header, json."],
  ["logout --all --client-id x", "Cannot use --client-id with --all"],
  ["permissions --config empty.json", "Cannot use --config with --for script"],
];

for (
  const [what, env, rows] of [["nobody", NO_CLIENT, MISTAKES], [
    "a client",
    {},
    MORE_MISTAKES,
  ]] as const
) {
  cliTest(`words: the mistakes of ${what} are answered in flags and variables`, async (world) => {
    await Deno.writeTextFile(`${world.home}/vault.json`, '{"path": "users/ada"}');
    await Deno.writeTextFile(`${world.home}/empty.json`, "{}", { mode: 0o600 });
    await Deno.writeTextFile(`${world.home}/wrong.json`, '{"pth": "/x"}');
    for (const [line, ...words] of rows) {
      const given: Record<string, string> = { ...env };
      const args = line.split(" ").filter((word) => {
        const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(word) ?? [];
        if (name !== undefined) given[name] = value!;
        return name === undefined;
      });
      const { code, stdout, stderr } = await world.run(args, { env: given });
      assertEquals([code, stdout], [2, ""], `${line}: ${stderr}`);
      for (const word of words) assertStringIncludes(stderr, word, line);
      assert(!API_WORDS.test(stderr), stderr);
    }
    assertEquals(world.provider.requests, []);
    const inMemory = { VM_OIDC_CREDENTIALS_BACKEND: "memory" };
    const token = await world.run(["token"], { env: inMemory });
    if (rows === MORE_MISTAKES) assertStringIncludes(token.stderr, "token --login");
    const doctor = await world.run(["doctor"], { env: BY_KEY });
    assert(!API_WORDS.test(doctor.stdout + doctor.stderr), doctor.stdout);
  });
}

cliTest("words: a denied variable is answered with its flags", async (world) => {
  const { stderr } = await world.run(["login"], { flags: [] });
  assertStringIncludes(stderr, "--allow-env=VM_OIDC_ISSUER");
  assert(!API_WORDS.test(stderr), stderr);
});

const OWN_STORE = { backend: "file", backendOptions: { path: "${HOME}/own/tokens.json" } };
const KV_ENV = {
  VM_OIDC_CREDENTIALS_BACKEND: "kv",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "${HOME}/env.db"}',
};

const HINTS: [what: string, args: string[], env: Record<string, string>, settings: unknown][] = [
  ["the default store", [], {}, {}],
  ["a profile and a scope", ["--profile", "two", "--scope", "openid offline_access"], {}, {}],
  ["a file of its own", [...FILE, "my options.json"], {}, {}],
  ["a database", ["--backend", "kv", "--backend-options", "kv.json"], {}, {}],
  ["a store of the environment", [], KV_ENV, {}],
  ["a store of the settings file", [], {}, OWN_STORE],
  ["a settings file that is named", ["--config", "own.json"], {}, {}],
  ["a profile of the settings file", ["--profile", "two"], {}, { profiles: { two: OWN_STORE } }],
  ["a profile of a variable, beside a store of another one", [], {
    ...KV_ENV,
    VM_OIDC_PROFILE: "two",
  }, { profiles: { two: OWN_STORE } }],
];

for (const [what, args, env, settings] of HINTS) {
  cliTest(`words: each hint of login_required signs in there: ${what}`, async (world) => {
    const options = (name: string) => JSON.stringify({ path: `${world.home}/${name}` });
    await Deno.writeTextFile(`${world.home}/my options.json`, options("mine/tokens.json"));
    await Deno.writeTextFile(`${world.home}/kv.json`, options("tokens.db"));
    await Deno.writeTextFile(`${world.home}/own.json`, JSON.stringify(OWN_STORE));
    await Deno.mkdir(world.folder, { mode: 0o700 });
    await Deno.writeTextFile(world.settingsPath, JSON.stringify(settings));
    for (const index of [0, 1]) {
      const before = await world.run(["token", ...args], { env });
      assertEquals(before.code, 4, before.stderr);
      assert(!API_WORDS.test(before.stderr), before.stderr);
      const hints = [...before.stderr.matchAll(/^ {2}(.*\blogin\b.*)$/gm)].map(([, line]) => line!);
      assertEquals(hints.map((line) => line.split(" ")[0]), ["validmind-auth", "deno"]);
      const { code, stderr } = await world.run(argumentsIn(hints[index]!), { env });
      assertEquals(code, 0, `${hints[index]}\n${stderr}`);
      assertEquals((await world.run(["token", ...args], { env })).code, 0);
      const place = args.filter((arg, at) => arg !== "--scope" && args[at - 1] !== "--scope");
      assertEquals((await world.run(["logout", "--quiet", ...place], { env })).code, 0);
    }
    // The command line leaves a store open to the end of its process.
  }, { ignore: !isPosix, sanitizeResources: false });
}

cliTest("words: the hint for a damaged store names that store, and frees it", async (world) => {
  const path = `${world.home}/mine/tokens.json`;
  await Deno.writeTextFile(`${world.home}/my options.json`, JSON.stringify({ path }));
  const args = [...FILE, "my options.json"];
  assertEquals((await world.run(["login", "--quiet", ...args])).code, 0);
  await world.signIn();
  await Deno.writeTextFile(path, '{"version": 1, "credentials": {"a');
  const { stderr } = await world.run(["status", ...args]);
  const [, hint] = /(validmind-auth logout .*) deletes a damaged/.exec(stderr) ?? [];
  const freed = await world.run(argumentsIn(hint!));
  assertEquals(freed.code, 0, freed.stderr);
  assertEquals((await world.run(["login", "--quiet", ...args])).code, 0);
  world.stored(); // in the default store, which nobody meant
}, { ignore: !isPosix });

cliTest("words: the hint for a damaged entry clears it alone", async (world) => {
  const { issuer, clientId } = world.provider;
  const identity = ["--issuer", issuer, "--client-id", clientId, "--profile", "a"];
  const env = NO_CLIENT;
  await world.signIn();
  const document = JSON.parse(await Deno.readTextFile(world.backend.path));
  document.credentials[`profile:a|${issuer}|${clientId}`] = "no entry";
  await Deno.writeTextFile(world.backend.path, JSON.stringify(document));
  const { stderr } = await world.run(["token", ...identity], { env });
  const [, hint] = /clear it: (validmind-auth logout .*)\.$/m.exec(stderr) ?? [];
  assertEquals((await world.run(argumentsIn(hint!), { env })).code, 0, stderr);
  world.stored(); // the other entry
  const { stdout } = await world.run(["doctor", ...identity], { env });
  const [, login] = /→ Run: (.*)$/m.exec(stdout) ?? [];
  assertEquals((await world.run(argumentsIn(login!), { env })).code, 0, stdout);
  assertEquals((await world.run(["token", ...identity], { env })).code, 0);
}, { ignore: !isPosix });
