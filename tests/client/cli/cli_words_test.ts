import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { startTrackingApi } from "../../support/tracking_api.ts";
import { isPosix } from "../../support/sandbox.ts";
import { wordsIn } from "../../support/permission_flags.ts";
import { argumentsIn, BY_KEY, cliTest, NO_CLIENT, type Word } from "./cli_world.ts";

/** Calls of a program, which mean nothing to a person at a shell. */
const API_WORDS = /\b(createSession|onDeviceCode)|\binit\(|\bpass the option\b/;
const ENTRA = "https://login.microsoftonline.com/common/v2.0";
const ISSUER = "issuer (VM_OIDC_ISSUER, --issuer)";
const CLIENT = "clientId (VM_OIDC_CLIENT_ID, --client-id)";
const FILE = ["--backend", "file", "--backend-options"];

/** Mistakes of a person by command, and words of the error. Variables stand before the command. */
const MISTAKES: [line: string, ...words: string[]][] = [
  ["login", `${ISSUER} and ${CLIENT}`, "VM_API_KEY", "VM_API_SECRET", "or login ADDRESS"],
  ["status", `error (missing_api_credentials): Cannot show the status`, ISSUER],
  ["logout", ISSUER],
  ["completions powershell", "as a shell: it is not known. It takes: bash, zsh, fish."],
  ["config get", "unknown", "[list | set NAME VALUE"],
  ["config list issuer", "list"],
  ["config discover https://a.example b", "discover ADDRESS"],
  ["config discover", "discover ADDRESS"],
  ["config set", "set NAME VALUE…"],
  ["config set scope", "set NAME VALUE…"],
  ["config unset", "unset NAME…"],
  ["completions bash zsh", '"zsh": the command completions does not take it'],
  ["login https://a.example b", '"b": the command login does not take it'],
  ["VM_OIDC_CLIENT_ID=c login", "--issuer", "VM_OIDC_ISSUER"],
  ["VM_OIDC_ISSUER=https://a.example login", CLIENT],
];

/** Those of a person whose client is known. */
const MORE_MISTAKES: typeof MISTAKES = [
  ["VM_API_KEY=k VM_API_SECRET=s login", "--issuer", "--client-id", "VM_API_KEY"],
  ["login --client-id a|b", "--client-id"],
  ["login --client-id a|b --profile two", "Try: validmind-auth config --profile two, which shows"],
  ["VM_OIDC_PROFILE=a|b login", "--profile", "VM_OIDC_PROFILE"],
  ["login --issuer login.example.com --client-id c", `${ISSUER} is not an http(s) URL`],
  ["login --issuer http://login.example.com --client-id c", "insecure_url", "https:"],
  [`login --issuer ${ENTRA} --client-id c --dpop`, "--dpop"],
  ["HOME= USERPROFILE= logout", 'give the file store its option "path"'],
  ["HOME= USERPROFILE= config set flow device", "the home folder is not known. Give --config"],
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
  ["login --listen 0.0.0.0:80", ": listen (VM_OIDC_LISTEN, --listen) is", "127.0.0.1:8765"],
  [
    "login --redirect-uri http://127.0.0.1:0/cb",
    ": redirectUri (VM_OIDC_REDIRECT_URI, --redirect-uri) is",
  ],
  [
    "login --redirect-uri https://hub.example.com/cb",
    "https: address needs listen (VM_OIDC_LISTEN, --listen)",
  ],
  ["login --parameter state=x", "(--parameter) takes no state", "by its own option"],
  ["login --parameter 'a b=x'", "(--parameter) takes only names of letters"],
  ["login --parameter prompt", "--parameter", "NAME=VALUE"],
  ["login --config none.json", "error (settings_invalid): Cannot use the settings file none"],
  ["migrate", "neither --from nor --to is given"],
  ["migrate --to file --from-options x", "it needs --from"],
  ["migrate --from file --to memory", "keeps tokens only while this program runs", "--to file"],
  ["migrate --from file --to kv --delete-source", "keeps tokens only while this program runs"],
  ["token --format yaml", "It takes: exec-credential, git, json."],
  ["token --json --format git", "Cannot use --json with --format"],
  ["logout --all --client-id x", "Cannot use --client-id with --all"],
];

cliTest("words: a sign-out without a provider leads to list and to --all", async (world) => {
  await world.says("logout", 2, "list, which", "logout --all", "!login ADDRESS", {
    env: NO_CLIENT,
  });
});

const PEOPLE = [["nobody", NO_CLIENT, MISTAKES], ["a client", {}, MORE_MISTAKES]] as const;

for (const [what, env, rows] of PEOPLE) {
  cliTest(`words: the mistakes of ${what} are answered in flags and variables`, async (world) => {
    await world.write({ path: "users/ada" }, "vault.json");
    await world.write({}, "empty.json");
    await world.write({ pth: "/x" }, "wrong.json");
    for (const [line, ...words] of rows) {
      const { stdout, stderr } = await world.says(line, 2, ...words, { env });
      assertEquals(stdout, "");
      assert(!API_WORDS.test(stderr), stderr);
    }
    assertEquals(world.provider.requests, []);
    const { stdout } = await world.says("doctor", 0, { env: BY_KEY });
    assert(!API_WORDS.test(stdout), stdout);
  });
}

cliTest("words: a store of this process, or a denied variable, has a command", async (world) => {
  await world.says("VM_OIDC_CREDENTIALS_BACKEND=memory token", 4, "token --login");
  const { stderr } = await world.says("login", 1, "env VM_OIDC_ISSUER", { flags: [] });
  assert(!API_WORDS.test(stderr), stderr);
  const login = /Run: \S+ login --scope openid --profile two$/m;
  await world.says("doctor --scope openid --profile two", 0, login);
});

const EXPECTED: [line: string, granted: string[], code: number, ...words: Word[]][] = [
  ["login", ["", "--allow-env"], 0, "Signed in"],
  ["api ping --api-host API", ["", "--allow-env --allow-read"], 0, "under-test"],
  ["api things -X PUT --input settings.json --api-host API", ["--allow-env"], 0, "PUT"],
  ["exec -- deno --version", ["", "--allow-env"], 0, "deno 2"],
  [
    "status --backend kv --backend-options kv.json",
    ["", "--allow-env --allow-read"],
    4,
    "Not signed in",
  ],
  ["migrate --to kv --to-options kv.json", ["--allow-env"], 0, "Copied"],
  ["list", [""], 0, "Signed in"],
  ["config set scope openid", [""], 0, "set scope"],
  ["logout", [""], 0, "Removed"],
];

for (const [line, grants, code, ...words] of EXPECTED) {
  cliTest(`words: one installation is enough: ${line}`, async (world) => {
    await using api = await startTrackingApi({
      accepts: (token) => world.provider.isActive(token),
    });
    if (!line.startsWith("login")) await world.signIn();
    await world.write({ path: join(world.home, "kv.db") }, "kv.json");
    await world.write({}, "settings.json");
    const call = line.replace("API", api.apiHost);
    const enough = new Set<string>();
    for (const granted of grants) {
      const flags = granted.split(" ").filter(Boolean);
      const { stderr } = await world.says(call, 1, /^error \((permission|unstable)/m, { flags });
      assert(stderr.trimEnd().split("\n").length <= 12, stderr);
      const [installed, whole, ...others] = Array.from(
        stderr.matchAll(
          /^ {2}deno install --global --force --no-config --name validmind-auth (.*) jsr:\S+$/gm,
        ),
        ([, flags]) => flags!,
      );
      assert(/^(--unstable-kv )?-A$/.test(whole ?? installed!), stderr);
      assertEquals(others, []);
      enough.add(installed!);
    }
    for (const installed of enough) {
      await world.says(call, code, ...words, { flags: wordsIn(installed) });
    }
  });
}

cliTest("words: with exact flags config set is led out in one round", async (world) => {
  const { json } = await world.says("permissions --for cli --json", 0);
  const call = "config set flow auto";
  const { stderr } = await world.says(call, 1, "VM_AUTH_CONFIG", { flags: wordsIn(json.flags) });
  const [, installed] = /validmind-auth (-.*) jsr:/.exec(stderr)!;
  await world.says(call, 0, "set flow", { flags: wordsIn(installed!) });
});

const OWN_STORE = { backend: "file", backendOptions: { path: "${HOME}/own/tokens.json" } };
const KV_ENV = {
  VM_OIDC_CREDENTIALS_BACKEND: "kv",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "${HOME}/env.db"}',
};

const HINTS: [what: string, args: string[], env: Record<string, string>, settings: unknown][] = [
  ["the default store", [], {}, {}],
  ["a profile and a scope", ["--profile", "two", "--scope", "openid offline_access"], {}, {}],
  ["no audience", ["--audience", ""], { VM_OIDC_AUDIENCE: "https://api.example" }, {}],
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
    await world.write({ path: `${world.home}/mine/tokens.json` }, "my options.json");
    await world.write({ path: `${world.home}/tokens.db` }, "kv.json");
    await world.write({ audience: "https://api.example" }, "own.json");
    await world.write(settings);
    const before = await world.run(["token", ...args], { env });
    assertEquals(before.code, 4, before.stderr);
    assert(!API_WORDS.test(before.stderr), before.stderr);
    const [, hint] = /^ {2}(validmind-auth login\b.*)$/m.exec(before.stderr)!;
    const { code, stderr } = await world.run(argumentsIn(hint!), { env });
    assertEquals(code, 0, `${hint}\n${stderr}`);
    assertEquals((await world.run(["token", ...args], { env })).code, 0);
    // The command line leaves a store open to the end of its process.
  }, { ignore: !isPosix, sanitizeResources: false });
}

cliTest("words: the hint for a damaged store names that store, and frees it", async (world) => {
  const path = await world.write('{"version": 1, "credentials": {"a', "mine/tokens.json");
  await world.write({ path }, "my options.json");
  const store = `${FILE.join(" ")} 'my options.json'`;
  await world.signIn();
  const { stderr } = await world.says(`status ${store}`, 1);
  const [, hint] = /^To remove it: validmind-auth (logout --all .*)$/m.exec(stderr)!;
  await world.says(hint!, 0);
  await world.says(`login ${store}`, 0);
  world.stored(); // in the default store, which nobody meant
}, { ignore: !isPosix });

cliTest("words: the hint for a damaged entry clears it alone", async (world) => {
  const { issuer, clientId } = world.provider;
  const identity = `--issuer ${issuer} --client-id ${clientId} --profile a`;
  const env = NO_CLIENT;
  await world.signIn();
  const document = JSON.parse(await Deno.readTextFile(world.backend.path));
  document.credentials[`profile:a|${issuer}|${clientId}`] = "no entry";
  await Deno.writeTextFile(world.backend.path, JSON.stringify(document));
  const { stderr } = await world.says(`token ${identity}`, 1, { env });
  const [, hint] = /^To remove it: validmind-auth (logout .*)$/m.exec(stderr)!;
  await world.says(hint!, 0, { env });
  world.stored(); // the other entry
  const { stdout } = await world.says(`doctor ${identity}`, 0, { env });
  const [, login] = /→ Run: validmind-auth (.*)$/m.exec(stdout)!;
  await world.says(login!, 0, { env });
  await world.says(`token ${identity}`, 0, { env });
}, { ignore: !isPosix });

/** The stores that a setting has to give options, and the options. */
const NEEDED = {
  vault: ["path"],
  helper: ["program"],
  encrypted: ["backend", "key"],
  fallback: ["backends"],
};

cliTest("a store without an option that it needs: the option, and its place", async (world) => {
  for (const [store, names] of Object.entries(NEEDED)) {
    const { VM_OIDC_CREDENTIALS_BACKEND_KWARGS: _, ...env } = world.env;
    const variable = { VM_OIDC_CREDENTIALS_BACKEND: store };
    const code = "error (backend_kwargs_invalid)";
    const words = [code, ...names, "CredentialsBackend"];
    await world.says("status", 2, ...words, "VM_OIDC_CREDENTIALS_BACKEND_KWARGS", {
      env: { ...env, ...variable },
    });
    await world.says(`status --backend ${store}`, 2, ...words, "--backend-options");
    await world.write({ backend: store });
    await world.says("status", 2, ...words, '"backendOptions"');
    const { stderr } = await world.says(`status --backend ${store}`, 2, ...words);
    // What it gives as an example has all that is needed.
    const [example] = /\{.*\}/.exec(stderr)!;
    assertEquals(Object.keys(JSON.parse(example)), names);
    await world.write(example, "options.json");
    const args = ["status", "--backend", store, "--backend-options", `${world.home}/options.json`];
    assertEquals((await world.run(args)).stderr.includes(code), false);
  }
});

cliTest("api: an error names the command's own action, and the API's setting", async (world) => {
  await world.signIn();
  for (const command of ["api x", "token", "exec -- true", "status"]) {
    const { stderr } = await world.run(
      command.split(" "),
      { env: { VM_API_HOST: "http://api.example.com" } },
    );
    assertEquals(stderr.includes("Cannot sign in"), false, stderr);
  }
  await world.says("api x", 2, "error (api_host_missing)", "config set api-host");
});
