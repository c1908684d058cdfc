import * as vm from "@validmind/auth";
import { runDeno } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import type { DemoReport } from "./demo_report.ts";
import { type DemoWorld, duration, listFiles, measure } from "./demo_world.ts";

/** One scene of the demo. Throws when something is not as it should be. */
export interface DemoStep {
  readonly title: string;
  run(world: DemoWorld, report: DemoReport): Promise<void>;
}

/** The demo's scenes, each of which goes on from the one before. */
export const demoSteps: readonly DemoStep[] = [
  { title: "the first start: a person signs in", run: firstStart },
  { title: "the second start: a new process uses the stored token", run: secondStart },
  { title: "an hour later: the token has ended and is refreshed", run: refresh },
  { title: "a host where nothing may be stored: memory only", run: memoryOnly },
  { title: "a call to the API", run: callApi },
  { title: "signing out, with revocation", run: signOut },
];

async function firstStart(world: DemoWorld, report: DemoReport): Promise<void> {
  const { provider, signal, manual } = world;
  report.code(
    "const session = await vm.init(); // issuer, client id and model: from the environment",
  );
  report.text(
    "",
    manual
      ? "Now it is your turn. Any login name will do:"
      : "What a person sees, on standard error (the demo soon approves on the provider's pages):",
    "",
  );
  provider.autoApprove = manual ? false : { afterMs: 1200 };
  const { value: session, took, requests } = await measure(world, () => vm.init({ signal }));
  const { name, email, refreshable } = await session.status();
  report.facts({
    "Took": took,
    "Requests to the provider": requests,
    "Signed in as": `${name} <${email}>`,
    "Model, as the API says": String(session.info?.model.name),
    "Tokens are kept in": world.file.path,
    "Files in the home": await listFiles(world.home),
  });
  check(refreshable === true, "the provider gave no refresh token");
}

async function secondStart(world: DemoWorld, report: DemoReport): Promise<void> {
  const { api, denoDir, file } = world;
  const net = `--allow-net=${new URL(api.apiHost).host}`;
  const read = `--allow-read=${file.path}`;
  report.text(
    "A program of its own, to which Deno gives the API, the one file and the environment:",
    "",
  );
  report.code(
    `deno run --allow-env ${net} \\`,
    `  ${read} tests/demo/stored_start.ts`,
  );
  const child = await measure(world, () =>
    runDeno({
      file: new URL("./stored_start.ts", import.meta.url).href,
      flags: [net, read, "--allow-env"],
      env: { ...Deno.env.toObject(), DENO_DIR: denoDir, NO_COLOR: "1" },
    }));
  check(child.value.code === 0, `the second program failed: ${child.value.stderr}`);
  const { initMs, email } = JSON.parse(child.value.stdout) as { initMs: number; email: string };
  report.facts({
    "Took": `${duration(initMs)} with the call to the API; the whole process ${child.took}`,
    "Requests to the provider": child.requests,
    "Signed in as": email,
    "Tokens came from": file.path,
  });
  check(child.requests === "0", "a start from a stored token asked the provider");
}

async function refresh(world: DemoWorld, report: DemoReport): Promise<void> {
  const { provider, signal } = world;
  report.text("The demo ends the access token at the provider and dates the entry back:", "");
  report.code("const session = await vm.init();");
  const before = world.stored();
  await world.endAccessToken();
  const { took, requests } = await measure(world, () => vm.init({ signal, interactive: false }));
  const after = world.stored();
  const isOldAlive = await provider.isActive(String(before.refresh_token));
  const isRotated = before.refresh_token !== after.refresh_token;
  report.facts({
    "Took": took,
    "Requests to the provider": requests,
    "A person was asked": requests.includes("device code"),
    "New access token": before.access_token !== after.access_token,
    "Refresh token rotated": isRotated,
    "Old refresh token works": isOldAlive,
    "Tokens are kept in": world.file.path,
  });
  check(isRotated && !isOldAlive, "the refresh token was not rotated");
}

async function memoryOnly(world: DemoWorld, report: DemoReport): Promise<void> {
  const { provider, signal, home } = world;
  await using empty = await tempDir();
  report.code(
    "const session = await vm.createSession({",
    "  credentialsBackend: new vm.MemoryCredentialsBackend(), // or: VM_OIDC_NO_PERSIST=1",
    "});",
  );
  report.text("", "In an empty home, and approved by the demo:", "");
  provider.autoApprove = { afterMs: 300 };
  setHome(empty.path);
  try {
    const credentialsBackend = new vm.MemoryCredentialsBackend();
    const { value: session, took, requests } = await measure(
      world,
      () => vm.createSession({ credentialsBackend, signal }),
    );
    const files = await listFiles(empty.path);
    const isAlive = await provider.isActive(await session.accessToken());
    await session.clear({ revoke: true });
    report.facts({
      "Took": took,
      "Requests to the provider": requests,
      "The provider knows the token": isAlive,
      "Tokens are kept in": credentialsBackend.location,
      "Files in that home": files.length === 0 ? "none" : files,
    });
    check(isAlive && files.length === 0, "a session in memory wrote files");
  } finally {
    setHome(home);
  }
}

async function callApi(world: DemoWorld, report: DemoReport): Promise<void> {
  const { api } = world;
  const session = vm.getSession();
  report.code('const answer = await session.post("log_metadata", { json: { score: 0.87 } });');
  const { value: answer, took, requests } = await measure(
    world,
    () => session.post("log_metadata", { json: { score: 0.87 } }),
  );
  const { headers = {}, status, method, path } = api.requests.at(-1) ?? {};
  report.facts({
    "Took": took,
    "Requests to the provider": requests,
    "The API was asked": `${method} ${path}`,
    "With the headers": ["Authorization: Bearer (not shown)", ...modelHeaders(headers)],
    "It answered": `${status} ${JSON.stringify(answer)}`,
  });
  check(status === 200 && headers.authorization !== undefined, "the API refused the call");
}

async function signOut(world: DemoWorld, report: DemoReport): Promise<void> {
  const { provider, file } = world;
  const { access_token, refresh_token } = world.stored();
  report.code("await vm.clearOidcCredentials({ revoke: true });");
  const { value: { revocation, reason }, took, requests } = await measure(
    world,
    () => vm.clearOidcCredentials({ revoke: true }),
  );
  const areDead = !await provider.isActive(access_token) &&
    !await provider.isActive(String(refresh_token));
  const left = (await Array.fromAsync(file.list())).length;
  report.facts({
    "Took": took,
    "Requests to the provider": requests,
    "Revocation": reason === undefined ? revocation : `${revocation}: ${reason}`,
    "The provider says": areDead ? "both tokens are dead" : "a token still works",
    "Entries left in the file": left,
    "A start without a person": await silentStart(),
  });
  check(areDead && left === 0, "a token outlived the sign-out");
}

/** What `init()` says when nobody is signed in and nobody may be asked. */
async function silentStart(): Promise<string> {
  try {
    await vm.init({ interactive: false });
    return "works";
  } catch (error) {
    if (!(error instanceof vm.ValidMindAuthError)) throw error;
    return `fails with code "${error.code}"`;
  }
}

function modelHeaders(headers: Record<string, string>): string[] {
  return ["X-MODEL-CUID", "X-MONITORING", "X-LIBRARY-VERSION"]
    .map((name) => `${name}: ${headers[name.toLowerCase()]}`);
}

function setHome(path: string): void {
  for (const name of ["HOME", "USERPROFILE"]) Deno.env.set(name, path);
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
