import { assert, assertEquals, assertMatch } from "@std/assert";
import { CLIENT_SECRET, withClient } from "../../support/client_world.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { wordsIn } from "../../support/permission_flags.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

const PAGE = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));

const KV = "new KvCredentialsBackend({ path: `${import.meta.dirname}/kv/t.db` })";

/** Scripts of a newcomer: README's, with other stores, and a job whose options say all. */
const SCRIPTS: Record<string, (named: string) => string> = {
  "README's script": () => {
    const fences = [...PAGE.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
    const script = fences.find((code) => code.includes("Working on"));
    assert(script !== undefined);
    return script.replace("jsr:@validmind/auth", "@validmind/auth");
  },
  "a script with its own file of the home": () =>
    `import { FileCredentialsBackend, init } from "@validmind/auth";
    await init({ credentialsBackend: new FileCredentialsBackend() });
    console.log("Working on");`,
  "a script with Deno KV": () =>
    `import { init, KvCredentialsBackend } from "@validmind/auth";
    await init({ credentialsBackend: ${KV} });
    console.log("Working on");`,
  "a job whose options say all": (named) =>
    `import { createSession } from "@validmind/auth";
    const clientSecret = ${JSON.stringify(CLIENT_SECRET)};
    await createSession({ ${named}, flow: "client_credentials", clientSecret });
    console.log("Working on");`,
  "a sign-out": () =>
    `import { clearOidcCredentials } from "@validmind/auth";
    console.log("Working on", await clearOidcCredentials({ revoke: true }));`,
};

for (const [what, textOf] of Object.entries(SCRIPTS)) {
  Deno.test(`without flags: one error, and its commands work at once: ${what}`, {
    ignore: Deno.build.os === "windows", // the flags are for a POSIX shell
  }, async () => {
    const isJob = what.startsWith("a job");
    await using provider = await startOidcProvider(isJob ? withClient() : { interval: 0.05 });
    const accepts = (bearer: string) => provider.isActive(bearer);
    await using api = await startTrackingApi({ accepts });
    await using home = await tempDir();
    await Deno.mkdir(`${home.path}/kv`, { mode: 0o700 });
    provider.autoApprove = true;
    const { issuer, clientId } = provider;
    const named = `issuer: ${JSON.stringify(issuer)}, clientId: ${JSON.stringify(clientId)}`;
    const file = `${home.path}/script.ts`;
    await Deno.writeTextFile(file, textOf(named));
    const variables = {
      VM_OIDC_ISSUER: issuer,
      VM_OIDC_CLIENT_ID: clientId,
      VM_API_HOST: api.apiHost,
      VM_API_MODEL: "cl123",
    };
    const env = { HOME: home.path, NO_COLOR: "1", ...(isJob ? {} : variables) };
    const first = await runDeno({ file, env });
    assertEquals([first.code, first.stdout], [1, ""]);
    assert(first.stderr.trimEnd().split("\n").length <= 12, first.stderr);
    const commands = [...first.stderr.matchAll(/^ {2}deno run (.*)$/gm)].map(([, words]) =>
      wordsIn(words!)
    );
    assert(commands.length > 0, first.stderr);
    for (const [at, words] of commands.entries()) {
      assertEquals(words.at(-1), file);
      const flags = words.slice(0, -1);
      assertEquals(flags.includes("-A"), at === commands.length - 1);
      const { code, stdout, stderr } = await runDeno({ file, flags, env });
      assertEquals(code, 0, stderr);
      assertMatch(stdout, /^Working on/);
    }
  });
}

Deno.test("the command in an error keeps the settings file that is in use", {
  ignore: Deno.build.os === "windows", // the flags are for a POSIX shell
}, async () => {
  await using provider = await startOidcProvider({ interval: 0.05 });
  await using api = await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) });
  await using home = await tempDir();
  provider.autoApprove = true;
  const folder = `${home.path}/.config/validmind-auth`;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const { issuer, clientId } = provider;
  const settings = { issuer, clientId, apiHost: api.apiHost, model: "cl123" };
  await Deno.writeTextFile(`${folder}/settings.json`, JSON.stringify(settings), { mode: 0o600 });
  const file = `${home.path}/script.ts`;
  await Deno.writeTextFile(file, SCRIPTS["README's script"]!(""));
  const env = { HOME: home.path, NO_COLOR: "1" };
  const { stderr } = await runDeno({ file, env, flags: ["--allow-env", "--allow-read"] });
  const [, command] = /^ {2}deno run (.*)$/m.exec(stderr)!;
  const flags = wordsIn(command!).slice(0, -1);
  assert(!flags.includes("-A"), command);
  const silent = await runDeno({ file, flags, env: { ...env, VM_OIDC_INTERACTIVE: "0" } });
  assertMatch(silent.stderr, /login_required/);
  const second = await runDeno({ file, flags, env });
  assertEquals(second.code, 0, second.stderr);
});

Deno.test("the command in an error keeps what the script itself was given", {
  ignore: Deno.build.os === "windows", // the flags are for a POSIX shell
}, async () => {
  await using provider = await startOidcProvider(withClient());
  await using home = await tempDir();
  const file = `${home.path}/script.ts`;
  await Deno.writeTextFile(
    file,
    `import { createSession } from "@validmind/auth";
    const [issuer, clientId, clientSecret] = ["A", "B", "C"].map((name) => Deno.env.get(name));
    await createSession({ issuer, clientId, clientSecret, flow: "client_credentials" });
    console.log("Working on");`,
  );
  const { issuer, clientId } = provider;
  const env = { HOME: home.path, NO_COLOR: "1", A: issuer, B: clientId, C: CLIENT_SECRET };
  const first = await runDeno({ file, env, flags: ["--allow-env"] });
  const flags = wordsIn(/^ {2}deno run (.*)$/m.exec(first.stderr)![1]!).slice(0, -1);
  assert(!flags.includes("-A"), first.stderr);
  const second = await runDeno({ file, env, flags });
  assertEquals([second.code, second.stdout], [0, "Working on\n"], second.stderr);
});

Deno.test("the command of a sign-in that comes to the browser by itself works at once", {
  ignore: Deno.build.os === "windows", // the flags are for a POSIX shell
}, async () => {
  await using provider = await startScriptedProvider();
  const { issuer, clientId } = provider;
  provider.discovery = {
    device_authorization_endpoint: undefined,
    authorization_endpoint: `${issuer}/authorize`,
  };
  await using home = await tempDir();
  const file = `${home.path}/script.ts`;
  await Deno.writeTextFile(
    file,
    `import { createSession } from "@validmind/auth";
    const onAuthorizationUrl = () => { console.log("Working on"); Deno.exit(); };
    await createSession({ onAuthorizationUrl }).catch((error) => {
      console.error(error.message);
      Deno.exitCode = 1;
    });`,
  );
  const env = {
    HOME: home.path,
    NO_COLOR: "1",
    VM_OIDC_ISSUER: issuer,
    VM_OIDC_CLIENT_ID: clientId,
  };
  let flags = ["--allow-env", "--allow-read"];
  for (const isLast of [false, false, true]) {
    const { code, stdout, stderr } = await runDeno({ file, flags, env });
    assertEquals([code, stdout], isLast ? [0, "Working on\n"] : [1, ""], stderr);
    assert(!stderr.includes("Uncaught"), stderr); // nothing else fails beside the call
    if (!isLast) flags = wordsIn(/^ {2}deno run (.*)$/m.exec(stderr)![1]!).slice(0, -1);
  }
});
