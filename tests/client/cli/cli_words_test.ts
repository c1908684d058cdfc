import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DENO, runProcess } from "../../support/deno_process.ts";
import { AS_PROCESS, CLI, type CliWorld, cliWorld } from "./cli_world.ts";

/** Words that mean something to a program, and nothing to a person at a shell. */
const API_WORDS =
  /\b(clientId|apiKey|apiSecret|credentialsBackend|createSession|clearOidc\w*|onDeviceCode|openBrowser|redirectUri|loginHint|authorizationParameters|bearer:)|\binit\(|\bpass the option\b/;
const NONE = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
const ENTRA = "https://login.microsoftonline.com/common/v2.0";

/** Mistakes of a person, and what the error has to name. */
const MISTAKES: [args: string[], env: Record<string, string>, ...words: string[]][] = [
  [["login"], NONE, "--issuer (VM_OIDC_ISSUER) and --client-id", "VM_API_KEY and VM_API_SECRET"],
  [["login"], { VM_OIDC_ISSUER: "" }, "--issuer", "VM_OIDC_ISSUER"],
  [["login"], { VM_OIDC_CLIENT_ID: "" }, "--client-id", "VM_OIDC_CLIENT_ID"],
  [["login"], { VM_API_KEY: "k", VM_API_SECRET: "s" }, "--issuer", "--client-id", "VM_API_KEY"],
  [["login", "--client-id", "a|b"], {}, "--client-id"],
  [["login", "--client-id", '"'], {}, ""],
  [["login", "--profile", "a b"], {}, "--profile", "VM_OIDC_PROFILE"],
  [
    ["login", "--issuer", "login.example.com"],
    {},
    "--issuer (VM_OIDC_ISSUER) is not an http(s) URL",
  ],
  [["login", "--issuer", "http://login.example.com"], {}, "https:"],
  [["login", "--issuer", ENTRA, "--dpop"], {}, "--dpop"],
  [["status"], NONE, "--issuer (VM_OIDC_ISSUER) and --client-id"],
  [["logout"], NONE, "--issuer (VM_OIDC_ISSUER)"],
  [["token"], { VM_OIDC_CREDENTIALS_BACKEND: "memory" }, "--login"],
  [["logout"], { HOME: "", USERPROFILE: "" }, '"path" in the options of the file store'],
  [["login", "--backend", "https://a.example/b.ts:Store"], {}, "--backend", "jsr:@acme/vault"],
  [
    ["login", "--backend", "vault", "--backend-options", "vault.json"],
    {},
    "VAULT_ADDR",
    '"address"',
  ],
  [["doctor"], NONE, "--issuer (VM_OIDC_ISSUER) and --client-id"],
  [["login", "--listen", "0.0.0.0:80"], {}, ": --listen (VM_OIDC_LISTEN) is", "127.0.0.1:8765"],
  [
    ["login", "--redirect-uri", "http://127.0.0.1:0/cb"],
    {},
    ": --redirect-uri (VM_OIDC_REDIRECT_URI) is",
  ],
  [
    ["login", "--redirect-uri", "https://hub.example.com/cb"],
    {},
    "an https: one with --listen (VM_OIDC_LISTEN)",
  ],
  [["login", "--parameter", "state=x"], {}, "--parameter takes no state", "by its own option"],
  [["login", "--parameter", "a b=x"], {}, "--parameter takes no name of other characters"],
  [["login", "--parameter", "prompt"], {}, "--parameter NAME=VALUE"],
  [
    ["login", "--parameter", "prompt=login", "--parameter", "prompt=none"],
    {},
    "a name is given twice",
  ],
];

for (const [args, env, ...words] of MISTAKES) {
  const names = Object.entries(env).map(([name, value]) => `${name}=${value} `).join("");
  Deno.test(`words: "${names}${args.join(" ")}" is answered in flags and variables`, async () => {
    await using world = await cliWorld();
    await Deno.writeTextFile(`${world.home}/vault.json`, '{"path": "users/ada"}');
    const { code, stdout, stderr } = await world.run(args, { env });
    assert(code !== 0, stdout);
    const text = stdout + stderr;
    for (const word of words) assertStringIncludes(text, word);
    assert(!API_WORDS.test(text), text);
  });
}

Deno.test("words: a denied variable is answered with the flag of Deno and of this program", async () => {
  await using world = await cliWorld();
  const { stderr } = await world.run(["login"], { flags: [] });
  assertStringIncludes(stderr, "--allow-env=VM_OIDC_ISSUER");
  assert(!API_WORDS.test(stderr), stderr);
});

const OWN_STORE = { backend: "file", backendOptions: { path: "${HOME}/own/tokens.json" } };

/** Runs a line of a hint in a shell in which `validmind-auth` and the JSR address are this module. */
async function runHint(world: CliWorld, line: string, env: Record<string, string>) {
  const bin = `${world.home}/bin`;
  await Deno.mkdir(bin, { recursive: true });
  const run = `exec '${DENO}' run --quiet --no-prompt -A --unstable-kv '${CLI}' "$@"`;
  await Deno.writeTextFile(`${bin}/validmind-auth`, `#!/bin/sh\n${run}\n`, { mode: 0o755 });
  const script = line.replace("deno run", `'${DENO}' run`)
    // This module takes its dependencies from its own deno.json, a package from JSR from none.
    .replace("--no-config", "").replace("jsr:@validmind/auth/cli", `'${CLI}'`);
  const path = `${bin}:${Deno.env.get("PATH")}`;
  return await runProcess(["sh", "-c", script], {
    cwd: world.home,
    env: { ...env, HOME: world.home, PATH: path },
  });
}

for (
  const [name, args, env, settings] of [
    ["the default store", [], {}, undefined],
    [
      "a profile and a scope",
      ["--profile", "two", "--scope", "openid offline_access"],
      {},
      undefined,
    ],
    [
      "a file of its own",
      ["--backend", "file", "--backend-options", "my options.json"],
      {},
      undefined,
    ],
    ["a database", ["--backend", "kv", "--backend-options", "kv.json"], {}, undefined],
    ["a store of the environment", [], {
      VM_OIDC_CREDENTIALS_BACKEND: "kv",
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "env.db"}',
    }, undefined],
    ["a store of the settings file", [], {}, OWN_STORE],
    ["a settings file that is named", ["--config", "own.json"], {}, undefined],
    ["a profile of the settings file", ["--profile", "two"], {}, { profiles: { two: OWN_STORE } }],
    ["a profile of a variable, beside a store of another one", [], {
      VM_OIDC_PROFILE: "two",
      VM_OIDC_CREDENTIALS_BACKEND: "kv",
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "env.db"}',
    }, { profiles: { two: OWN_STORE } }],
  ] as const
) {
  Deno.test({
    name: `words: each hint of login_required signs in there: ${name}`,
    ignore: Deno.build.os === "windows",
    async fn() {
      for (const index of [0, 1]) {
        await using world = await cliWorld();
        await Deno.writeTextFile(`${world.home}/my options.json`, '{"path": "mine/tokens.json"}');
        await Deno.writeTextFile(`${world.home}/kv.json`, '{"path": "tokens.db"}');
        await Deno.writeTextFile(`${world.home}/own.json`, JSON.stringify(OWN_STORE));
        await Deno.mkdir(world.folder, { mode: 0o700 });
        await Deno.writeTextFile(world.settingsPath, JSON.stringify(settings ?? {}));
        const before = await world.run(["token", ...args], { env, flags: AS_PROCESS });
        assertEquals(before.code, 4, before.stderr);
        assert(!API_WORDS.test(before.stderr), before.stderr);
        const hints = [...before.stderr.matchAll(/^ {2}(.*\blogin\b.*)$/gm)].map(([, line]) =>
          line!
        );
        assertEquals(hints.map((line) => line.split(" ")[0]), ["validmind-auth", "deno"]);
        const { code, stderr } = await runHint(world, hints[index]!, env);
        assertEquals(code, 0, `${hints[index]}\n${stderr}`);
        const after = await world.run(["token", ...args], { env, flags: AS_PROCESS });
        assertEquals(after.code, 0, after.stderr);
      }
    },
  });
}

Deno.test({
  name: "words: the hint for a damaged store names that store, and frees it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using world = await cliWorld();
    await Deno.writeTextFile(`${world.home}/my options.json`, '{"path": "mine/tokens.json"}');
    const args = ["--backend", "file", "--backend-options", "my options.json"];
    assertEquals((await world.run(["login", "--quiet", ...args], { flags: AS_PROCESS })).code, 0);
    await world.signIn();
    await Deno.writeTextFile(`${world.home}/mine/tokens.json`, '{"version": 1, "credentials": {"a');
    const { stderr } = await world.run(["status", ...args], { flags: AS_PROCESS });
    const [, hint] = /(validmind-auth logout .*) deletes a damaged/.exec(stderr) ?? [];
    const freed = await runHint(world, hint!, world.env);
    assertEquals(freed.code, 0, freed.stderr);
    assertEquals((await world.run(["login", "--quiet", ...args], { flags: AS_PROCESS })).code, 0);
    world.stored(); // in the default store, which nobody meant
  },
});

Deno.test({
  name: "words: the hint for a damaged entry clears it alone, whatever named the sign-in",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using world = await cliWorld();
    const { issuer, clientId } = world.provider;
    const identity = ["--issuer", issuer, "--client-id", clientId, "--profile", "a"];
    const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
    await world.signIn();
    const document = JSON.parse(await Deno.readTextFile(world.backend.path));
    document.credentials[`profile:a|${issuer}|${clientId}`] = "no entry";
    await Deno.writeTextFile(world.backend.path, JSON.stringify(document));
    const { stderr } = await world.run(["token", ...identity], { env, flags: AS_PROCESS });
    const [, hint] = /clear it: (validmind-auth logout .*)\.$/m.exec(stderr) ?? [];
    const cleared = await runHint(world, hint!, {});
    assertEquals(cleared.code, 0, `${stderr}\n${cleared.stderr}`);
    world.stored(); // the other entry
    const { stdout } = await world.run(["doctor", ...identity], { env, flags: AS_PROCESS });
    const [, login] = /→ Run: (.*)$/m.exec(stdout) ?? [];
    const signedIn = await runHint(world, login!, {});
    assertEquals(signedIn.code, 0, `${stdout}\n${signedIn.stderr}`);
    assertEquals((await world.run(["token", ...identity], { env, flags: AS_PROCESS })).code, 0);
  },
});
