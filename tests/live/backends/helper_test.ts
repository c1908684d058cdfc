// By real programs: docker's helpers over pass and the Secret Service, one in Python over keyring, and
// one that serveHelper makes.
import { assert, assertEquals } from "@std/assert";
import { dirname } from "@std/path";
import { createSession } from "@validmind/auth";
import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
import { testCredentialsBackend } from "@validmind/auth/testing";
import { backendUrl, DENO, mustRun } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { type KeyringSession, startKeyringSession } from "../../support/servers/keyring_session.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { type TempDir, tempDir } from "../../support/temp_home.ts";
import { writeProgram } from "../../support/write_program.ts";
import { pythonLibrary } from "../hub/python_library.ts";
import { stampede } from "../../lab/torture/stampede.ts";
import { chosen, storeOn } from "../../lab/torture/store.ts";

/** A program, and the variables with which it finds its store. */
interface Helper {
  readonly program: string;
  readonly env?: Record<string, string>;
}

const live = await liveTests(
  "docker-credential-pass",
  "docker-credential-secretservice",
  "pass",
  "keyring",
  "python-keyring",
  "validmind-library",
);
const folder: TempDir = await live.shared(() => tempDir());
const session: KeyringSession = await live.shared(() => startKeyringSession());
live.afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const HELPERS: Record<string, () => Promise<Helper>> = {
  "docker-credential-pass": async () => {
    const env = { HOME: folder.path, GNUPGHOME: `${folder.path}/gnupg` };
    await Deno.mkdir(env.GNUPGHOME, { mode: 0o700 });
    const key = ["--batch", "--passphrase", "", "--quick-generate-key", "ada@example.com"];
    await mustRun(["gpg", ...key, "default", "default", "never"], { env, inheritEnv: true });
    await mustRun(["pass", "init", "ada@example.com"], { env, inheritEnv: true });
    return { program: await serverBinary("docker-credential-pass"), env };
  },
  "docker-credential-secretservice": async () => ({
    program: await serverBinary("docker-credential-secretservice"),
    env: session.env,
  }),
  "a helper in Python": async () => {
    const program = `${folder.path}/python-helper`;
    const script = `${import.meta.dirname}/../../backends/helper/keyring_helper.py`;
    const python = await serverBinary("python-keyring");
    writeProgram(program, `#!/bin/sh\nexec '${python}' '${script}' "$@"\n`);
    return { program, env: session.env };
  },
  "a helper by serveHelper": async () => {
    const script = `${folder.path}/served-helper.ts`;
    const path = `${folder.path}/served/credentials.json`;
    await Deno.writeTextFile(
      script,
      `import { FileCredentialsBackend } from ${JSON.stringify(backendUrl("file.ts"))};
       import { serveHelper } from ${JSON.stringify(backendUrl("helper.ts"))};
       await serveHelper(new FileCredentialsBackend({ path: ${JSON.stringify(path)} }));`,
    );
    // `deno install` of the page makes such a program; it would leave the repository's imports out.
    const program = `${folder.path}/vm-store`;
    const grants = `--allow-read='${dirname(path)}' --allow-write='${dirname(path)}'`;
    const config = `${import.meta.dirname}/../../../deno.json`;
    writeProgram(
      program,
      `#!/bin/sh\nexec deno run --quiet --config '${config}' ${grants} '${script}' "$@"\n`,
    );
    const env = { PATH: `${dirname(DENO)}:${Deno.env.get("PATH")}` };
    return { program, env };
  },
};

for (const [name, make] of Object.entries(HELPERS)) {
  const helper: Helper = await live.shared(make);
  const lockFolder = live.ignore ? "" : `${folder.path}/locks`;
  // A call of a helper that locks waits for those before it.
  const timeoutMs = 180_000;
  const open = () => new HelperCredentialsBackend({ ...helper, lockFolder, timeoutMs });
  const ignore = live.ignore;
  testCredentialsBackend(name, open, { ignore, patienceMs: 30_000 });

  live.test(`${name}: sixteen processes refresh an expired sign-in once`, async () => {
    // They look one after the other, each by the program.
    const env = chosen("helper", { ...helper, lockFolder, timeoutMs, lockTimeoutMs: 180_000 });
    const { failures } = await stampede({
      ...{ count: 1, seed: 1, folder: folder.path },
      startStore: () => storeOn(undefined, env),
    });
    assertEquals(failures, []);
  });
}

/** The Python library with the backend class of the page, by the helper in Python. */
function sharedStore() {
  const options = {
    program: `${folder.path}/python-helper`,
    env: session.env,
    lockFolder: `${folder.path}/locks`,
  };
  const backend = new HelperCredentialsBackend(options);
  return { backend, python: pythonLibrary("helper", options) };
}

live.test("the Python library shares the store: each reads and removes what the other stored", async () => {
  const { backend, python } = sharedStore();
  const issuer = "https://login.example.com/tenant";
  for (const audience of [null, `api://${crypto.randomUUID()}/${crypto.randomUUID()}`]) {
    const key = [issuer, "both", ...audience === null ? [] : [audience]].join("|");
    const call = (name: string, ...more: unknown[]) =>
      python(`store.${name}(*A[1:], audience=A[0])`, audience, issuer, "both", ...more);
    const one = entry({ issuer, client_id: "both", access_token: "of Python: \u00e4" });
    await call("upsert_cached_entry", one);
    assertEquals(await backend.get(key), one);
    const other = { ...one, access_token: "of Deno: \u{1f511}" };
    await backend.put(key, other);
    assertEquals(await call("get_cached_entry"), other);
    // Other tests share the store.
    const listed = await Array.fromAsync(backend.list());
    assertEquals(listed.filter((one) => one.startsWith(issuer)), [key]);
    await call("delete_cached_entry");
    assertEquals(await backend.get(key), undefined);
    assertEquals(await call("get_cached_entry"), null);
  }
});

live.test("the Python library shares the store: a refresh by both at once is one", async () => {
  await using world = await scriptedProviderWorld();
  const { issuer, clientId, onDeviceCode } = world.options;
  await createSession(world.options);
  const { backend, python } = sharedStore();
  await backend.put(world.key, { ...world.stored(), expires_at: "2020-01-01T00:00:00+00:00" });
  const start = async () => {
    const options = { issuer: issuer!, clientId: clientId!, onDeviceCode: onDeviceCode! };
    const session = await createSession({
      ...options,
      credentialsBackend: backend,
      interactive: false,
    });
    return await session.accessToken();
  };
  const [byPython, byDeno] = await Promise.all([
    python("library.obtain(*A)", issuer, clientId),
    start(),
  ]);
  const stored = (await backend.get(world.key))!;
  assertEquals([byPython.access_token, byDeno], [stored.access_token, stored.access_token]);
  assert(world.provider.isActive(stored.refresh_token!));
  const refreshes = world.provider.requests.filter(({ grantType }) =>
    grantType === "refresh_token"
  );
  assertEquals(refreshes.length, 1);
  await backend.delete(world.key);
});
