// deno-lint-ignore-file no-console -- what the demo prints is what it is for
/**
 * Signs in, refreshes and signs out against a real OpenID Provider on this machine, and tells what
 * happens: `deno task demo`. With `--manual` you approve the first sign-in in your own browser.
 */
import * as vm from "@validmind/auth";
import { findDenoDir, runDeno } from "../support/deno_process.ts";
import { startOidcProvider, type TestOidcProvider } from "../support/oidc_provider.ts";
import { withTempHome } from "../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../support/tracking_api.ts";

const USAGE = "Usage: deno task demo [--manual]";
/** By itself the demo needs some seconds; a person has until the code ends. */
const LIMIT_MS = 25_000;

/** What all steps have to do with, on loopback and in one temporary home. */
interface World {
  provider: TestOidcProvider;
  api: TrackingApi;
  file: vm.FileCredentialsBackend;
  stored: () => vm.OidcCredentials;
  manual: boolean;
  signal: AbortSignal;
  denoDir: string;
}

/** What came of a step, by label. */
type Facts = Record<string, unknown>;

/** The demo's steps, each of which goes on from the one before, with what the person's program says. */
const STEPS: [title: string, code: string, run: (world: World) => Promise<Facts>][] = [
  [
    "the first start: a person signs in",
    "const session = await vm.init(); // issuer, client id and model: from the environment",
    async ({ provider, manual, signal, file }) => {
      provider.autoApprove = manual ? false : { afterMs: 1200 };
      const session = await vm.init({ signal });
      const { name, email, refreshable } = await session.status();
      check(refreshable === true, "the provider gave no refresh token");
      return {
        "Signed in as": `${name} <${email}>`,
        "Model, as the API says": session.info?.model.name,
        "Tokens are kept in": `${file.path} (mode ${modeOf(file.path)})`,
      };
    },
  ],
  [
    "the second start: a new process uses the stored token",
    "deno run --allow-env --allow-net=<the API> --allow-read=<the file> tests/demo/stored_start.ts",
    async ({ api, file, denoDir, provider }) => {
      const { code, stdout, stderr } = await runDeno({
        file: new URL("./stored_start.ts", import.meta.url).href,
        flags: [
          `--allow-net=${new URL(api.apiHost).host}`,
          `--allow-read=${file.path}`,
          "--allow-env",
        ],
        env: { ...Deno.env.toObject(), DENO_DIR: denoDir, NO_COLOR: "1" },
      });
      check(code === 0, `the second program failed: ${stderr}`);
      check(provider.requests.length === 0, "a start from a stored token asked the provider");
      const { initMs, email } = JSON.parse(stdout);
      return { "Signed in as": email, "After": `${Math.ceil(initMs)} ms, with a call to the API` };
    },
  ],
  [
    "an hour later: the token has ended and is refreshed",
    "const session = await vm.init();",
    async ({ provider, file, stored, signal }) => {
      const before = stored();
      provider.expireAccessTokens();
      const expires_at = new Date(Date.now() - 3_600_000).toISOString();
      const [key] = await Array.fromAsync(file.list());
      await file.put(key!, { ...before, expires_at });
      await vm.init({ signal, interactive: false });
      const after = stored();
      check(before.refresh_token !== after.refresh_token, "the refresh token was not rotated");
      const isAlive = await provider.isActive(before.refresh_token!);
      check(!isAlive, "the old refresh token lives");
      return { "New access token": before.access_token !== after.access_token, "Rotated": true };
    },
  ],
  [
    "a host where nothing may be stored: memory only",
    "await vm.createSession({ credentialsBackend: new vm.MemoryCredentialsBackend() });",
    async ({ provider, signal, file }) => {
      provider.autoApprove = { afterMs: 300 };
      const before = await Deno.readTextFile(file.path);
      const credentialsBackend = new vm.MemoryCredentialsBackend();
      const session = await vm.createSession({ credentialsBackend, signal });
      check(await provider.isActive(await session.accessToken()), "the token is not good");
      await session.clear({ revoke: true });
      check(before === await Deno.readTextFile(file.path), "a session in memory wrote a file");
      return { "Tokens are kept in": credentialsBackend.location };
    },
  ],
  [
    "a call to the API",
    'const answer = await session.post("log_metadata", { json: { score: 0.87 } });',
    async ({ api }) => {
      const answer = await vm.getSession().post("log_metadata", { json: { score: 0.87 } });
      const { headers = {}, status, method, path } = api.requests.at(-1) ?? {};
      check(headers.authorization !== undefined, "the API was given no token");
      return {
        "The API was asked": `${method} ${path}`,
        "For the model": headers["x-model-cuid"],
        "It answered": `${status} ${JSON.stringify(answer)}`,
      };
    },
  ],
  [
    "signing out, with revocation",
    "await vm.clearOidcCredentials({ revoke: true });",
    async ({ provider, file, stored }) => {
      const { access_token, refresh_token } = stored();
      const { revocation } = await vm.clearOidcCredentials({ revoke: true });
      for (const token of [access_token, refresh_token!]) {
        check(!await provider.isActive(token), "a token outlived the sign-out");
      }
      const left = (await Array.fromAsync(file.list())).length;
      const error = await vm.init({ interactive: false }).catch((error) => error);
      return { "Revocation": revocation, "Entries left": left, "The next start": error.code };
    },
  ],
];

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

function modeOf(path: string): string {
  const { mode } = Deno.statSync(path);
  return mode === null ? "of Windows" : (mode & 0o7777).toString(8).padStart(4, "0");
}

function tell(facts: Facts): void {
  const width = Math.max(...Object.keys(facts).map((label) => label.length));
  for (const [label, fact] of Object.entries(facts)) {
    console.log(`  ${label.padEnd(width)}  ${fact === true ? "yes" : fact}`);
  }
}

async function demo(manual: boolean, interrupt: AbortSignal): Promise<void> {
  const denoDir = findDenoDir(); // with another HOME a child would not find it
  const start = performance.now();
  const signal = manual ? interrupt : AbortSignal.any([interrupt, AbortSignal.timeout(LIMIT_MS)]);
  await withTempHome(async (home) => {
    await using provider = await startOidcProvider({ interval: 1 });
    await using api = await startTrackingApi({ accepts: (token) => provider.isActive(token) });
    Deno.env.set("VM_OIDC_ISSUER", provider.issuer);
    Deno.env.set("VM_OIDC_CLIENT_ID", provider.clientId);
    Deno.env.set("VM_API_HOST", api.apiHost);
    Deno.env.set("VM_API_MODEL", "cl-demo");
    console.log("All of this runs on your machine. Your own credentials are left alone.\n");
    tell({ "OpenID Provider": provider.issuer, "API": api.apiHost, "Temporary home": home });
    const file = new vm.FileCredentialsBackend();
    const key = vm.credentialKey(provider.issuer, provider.clientId);
    const stored = () => file.get(key)!;
    const world = { provider, api, file, stored, manual, signal, denoDir };
    for (const [index, [title, code, run]] of STEPS.entries()) {
      const name = `${index + 1} of ${STEPS.length}: ${title}`;
      console.log(`\nStep ${name}\n\n    ${code}\n`);
      provider.reset();
      const facts = await run(world).catch((error) => {
        throw new Error(`step ${name}: ${error.message}`, { cause: error });
      });
      tell({ ...facts, "Requests to the provider": provider.requests.length });
    }
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`\nDone: ${STEPS.length} steps in ${seconds} s. The temporary home is gone.`);
}

async function main(args: string[]): Promise<number> {
  if (args.some((arg) => arg !== "--manual")) {
    console.error(USAGE);
    return 2;
  }
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort(new Error("it was interrupted"));
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    await demo(args.includes("--manual"), interrupt.signal);
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : error}`);
    return interrupt.signal.aborted ? 130 : 1;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
