// A process in which nothing is named `Deno`, as on Node and Bun. `tests/live/behaviour/second_runtime_test.ts` has those.
import { assertEquals } from "@std/assert";
import { CLIENT_SECRET, clientWorld } from "../support/client_world.ts";
import { runDeno } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import { startTrackingApi } from "../support/tracking_api.ts";

/** Deno makes its `process` and the variables in it by parts of its own, so both are copied before. */
const PROCESS = `
  globalThis.process = { env: { ...process.env } };
  delete globalThis.Deno;`;

/** Runs code after `Deno` is gone, with what it takes of the module. Gives the JSON that it prints. */
async function runWithoutDeno(code: string, env: Record<string, string> = {}) {
  await using home = await tempDir();
  const { code: exit, stdout, stderr } = await runDeno({
    code: `${PROCESS}\n${code}`,
    flags: ["-A"],
    env: { HOME: home.path, ...env },
  });
  assertEquals(exit, 0, stderr);
  assertEquals([...Deno.readDirSync(home.path)], [], "something was written");
  return { ...JSON.parse(stdout), stderr };
}

Deno.test("without Deno the variables, requests and warnings work", async () => {
  await using api = await startTrackingApi();
  const env = {
    VM_API_KEY: "test-api-key",
    VM_API_SECRET: "test-api-secret",
    VM_API_HOST: api.apiHost,
    VM_API_MODEL: "cl123",
  };
  const { name, granted, stderr } = await runWithoutDeno(
    `
    const { init } = await import("@validmind/auth");
    const { isGranted } = await import(${JSON.stringify(commonFile("permission"))});
    const { writeError } = await import(${JSON.stringify(commonFile("runtime"))});
    const session = await init();
    writeError("a line\\n");
    const granted = isGranted({ name: "read" });
    console.log(JSON.stringify({ name: session.info.model.name, granted }));`,
    env,
  );
  assertEquals({ name, granted, stderr }, {
    name: "Credit Risk Model",
    granted: true,
    stderr: "a line\n",
  });
});

Deno.test("without Deno the default store is refused before any work", async () => {
  const { code, message } = await runWithoutDeno(`
    const { createSession } = await import("@validmind/auth");
    const options = { issuer: "https://login.example.com", clientId: "my-app" };
    const { code, message } = await createSession(options).catch((error) => error);
    console.log(JSON.stringify({ code, message }));`);
  assertEquals({ code, message }, {
    code: "runtime_unsupported",
    message:
      "Cannot create FileCredentialsBackend: it needs Deno. Pass another credentialsBackend: " +
      "MemoryCredentialsBackend (or set VM_OIDC_NO_PERSIST=1), or VaultCredentialsBackend.",
  });
});

Deno.test("without Deno a store's module is named by its whole path", async () => {
  const { codes } = await runWithoutDeno(`
    const { createSession } = await import("@validmind/auth");
    const options = { issuer: "https://login.example.com", clientId: "my-app" };
    const codes = [];
    for (const path of ["./none.ts", "/none.ts"]) {
      process.env.VM_OIDC_DENO_CREDENTIALS_BACKEND = path + ":Store";
      codes.push((await createSession(options).catch((error) => error)).code);
    }
    console.log(JSON.stringify({ codes }));`);
  assertEquals(codes, ["runtime_unsupported", "backend_import_failed"]);
});

Deno.test("without Deno a job signs in, and CI=true asks nobody", async () => {
  await using world = await clientWorld({ method: "client_secret_post" });
  const { issuer, clientId } = world.provider;
  const { isToken, code } = await runWithoutDeno(
    `
    const { createSession, MemoryCredentialsBackend } = await import("@validmind/auth");
    const client = ${JSON.stringify({ issuer, clientId, clientSecret: CLIENT_SECRET })};
    const options = { ...client, credentialsBackend: new MemoryCredentialsBackend() };
    const job = await createSession({ ...options, flow: "client_credentials" });
    const { code } = await createSession(options).catch((error) => error);
    console.log(JSON.stringify({ isToken: (await job.accessToken()).length > 8, code }));`,
    { CI: "true" },
  );
  assertEquals({ isToken, code }, { isToken: true, code: "login_required" });
});

function commonFile(name: string): string {
  return new URL(`../../backends/common/${name}.ts`, import.meta.url).href;
}
