import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { denoCommand, type ProcessResult, runProcess } from "../../support/deno_process.ts";
import { startOidcProvider, type TestOidcProvider } from "../../support/oidc_provider.ts";
import { type TempDir, tempDir } from "../../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../../support/tracking_api.ts";

const ROOT = new URL("../../../", import.meta.url);
const ignore = Deno.build.os === "windows"; // the flags are for a POSIX shell

/** Runs with the flags of the error before, until there is none. The second error names all of them. */
async function follow(run: (flags: string) => Promise<ProcessResult>): Promise<ProcessResult> {
  let result = await run("");
  for (let errors = 0; errors < 2; errors++) {
    assertEquals(result.code, 1);
    const [, flags] = /Run with\n {2}(.*)\n/.exec(result.stderr)!;
    result = await run(flags!);
  }
  return result;
}

Deno.test({
  name: "the flags of README's script are named in two errors: variables, then hosts and files",
  ignore,
  async fn() {
    await using world = await newcomer();
    const last = await follow(world.run);
    assertEquals(last.code, 0, last.stderr);
    assertMatch(last.stdout, /^Working on /);
  },
});

Deno.test({
  name: "the first error has the place to listen at, and the client's file",
  ignore,
  async fn() {
    const provider = { issuer: "https://login.example.com", clientId: "app" };
    for (
      const [options, flag] of [
        ['flow: "browser"', "--allow-net=login.example.com:443,127.0.0.1:0"],
        ['clientKeyFile: "/keys/app.pem"', "--allow-read=/keys/app.pem"],
      ] as const
    ) {
      const run = await jobRunner(options, provider);
      await using _home = run.home;
      const { stderr } = await run.with("");
      assertStringIncludes(stderr, flag);
    }
  },
});

/** A script that takes all from its options, in an empty home. */
async function jobRunner(
  options: string,
  { issuer, clientId }: Pick<TestOidcProvider, "issuer" | "clientId">,
) {
  const home = await tempDir();
  const file = join(home.path, "job.ts");
  const named = `issuer: ${JSON.stringify(issuer)}, clientId: ${JSON.stringify(clientId)}`;
  await Deno.writeTextFile(
    file,
    `import { createSession } from "@validmind/auth";
    await createSession({ ${named}, ${options} });`,
  );
  const env = { HOME: home.path, NO_COLOR: "1" };
  return { home, with: (flags: string) => runInShell(file, flags, env) };
}

async function runInShell(
  file: string,
  flags: string,
  env: Record<string, string>,
): Promise<ProcessResult> {
  const [deno, run, ...rest] = denoCommand({ file }).map((word) => `'${word}'`);
  return await runProcess(["sh", "-c", [deno, run, flags, ...rest].join(" ")], { env });
}

interface Newcomer extends AsyncDisposable {
  provider: TestOidcProvider;
  run(flags: string, env?: Record<string, string>): Promise<ProcessResult>;
}

/** A person with README's script, the quick start's variables and an empty home. */
async function newcomer(): Promise<Newcomer> {
  await using stack = new AsyncDisposableStack();
  const provider = stack.use(await startOidcProvider({ interval: 0.05 }));
  const api = stack.use(await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) }));
  const home = stack.use(await tempDir());
  provider.autoApprove = true;
  const script = await writeScript(home);
  const env = settings(home, provider, api);
  const disposable = stack.move();
  return {
    provider,
    run: (flags, more = {}) => runInShell(script, flags, { ...env, ...more }),
    [Symbol.asyncDispose]: () => disposable.disposeAsync(),
  };
}

async function writeScript(home: TempDir): Promise<string> {
  const page = await Deno.readTextFile(new URL("README.md", ROOT));
  const fences = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
  const script = fences.find((code) => code.includes("Working on"));
  assert(script !== undefined);
  const path = join(home.path, "script.ts");
  await Deno.writeTextFile(path, script.replace("jsr:@validmind/auth", "@validmind/auth"));
  return path;
}

function settings(home: TempDir, provider: TestOidcProvider, api: TrackingApi) {
  return {
    HOME: home.path,
    NO_COLOR: "1",
    VM_OIDC_ISSUER: provider.issuer,
    VM_OIDC_CLIENT_ID: provider.clientId,
    VM_API_HOST: api.apiHost,
    VM_API_MODEL: "cl123",
  };
}
