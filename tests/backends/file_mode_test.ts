import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const ignore = !isPosix;

interface Warned {
  backend: FileCredentialsBackend;
  warnings: string[];
}

function backendAt(path: string): Warned {
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  return { backend: new FileCredentialsBackend({ path, onWarning }), warnings };
}

function writeOpen(path: string, mode: number, version = 1): void {
  Deno.writeTextFileSync(path, JSON.stringify({ version, credentials: { [OTHER]: entry() } }));
  Deno.chmodSync(path, mode);
}

Deno.test("a file backend makes file and lock files 0600 and new folders 0700, without a warning", {
  permissions,
  ignore,
}, async () => {
  const parent = folder();
  const { backend, warnings } = backendAt(`${parent}/a/.validmind/credentials.json`);
  await backend.withLock(KEY, () => backend.put(KEY, entry()));
  const own = `${parent}/a/.validmind`;
  assertEquals([modeOf(`${parent}/a`), modeOf(own)], [0o700, 0o700]);
  const names = namesIn(own);
  assertEquals(names.length, 3, names.join());
  for (const name of names) assertEquals(modeOf(`${own}/${name}`), 0o600, name);
  assertEquals(warnings, []);
});

for (const umask of [0o000, 0o022, 0o077]) {
  Deno.test(
    `a file backend's modes do not depend on a umask of ${umask.toString(8)}`,
    { ignore },
    async () => {
      const home = folder();
      const code = `
        import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
        Deno.umask(${umask});
        const backend = new FileCredentialsBackend();
        await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
        await backend.withLock("k", () => Promise.resolve());
      `;
      const flags = [`--allow-read=${home}`, `--allow-write=${home}`, "--allow-env=HOME"];
      flags.push("--allow-sys"); // for Deno.umask() alone
      const { code: exit, stderr } = await runDeno({ code, flags, env: { HOME: home } });
      assertEquals([exit, stderr], [0, ""]);
      const own = `${home}/.validmind`;
      assertEquals(modeOf(own), 0o700);
      assertEquals(namesIn(own).length, 3);
      for (const name of namesIn(own)) assertEquals(modeOf(`${own}/${name}`), 0o600, name);
    },
  );
}

for (const mode of [0o644, 0o640, 0o666, 0o604]) {
  Deno.test(`a file of mode ${mode.toString(8)} is closed by the next write, and reported once`, {
    permissions,
    ignore,
  }, async () => {
    const { backend, warnings } = backendAt(`${folder()}/credentials.json`);
    writeOpen(backend.path, mode);
    assertEquals(backend.get(OTHER), entry());
    assertEquals(warnings, []);
    await backend.put(KEY, entry());
    assertEquals(modeOf(backend.path), 0o600);
    assertEquals(warnings.length, 1);
    assertStringIncludes(warnings[0] ?? "", backend.path);
    assertMatch(warnings[0] ?? "", new RegExp(`mode ${mode.toString(8)}.*sign in again`));
    writeOpen(backend.path, mode);
    await backend.put(KEY, entry());
    assertEquals(modeOf(backend.path), 0o600);
    assertEquals(warnings.length, 1);
  });
}

Deno.test(
  "a file that is not written is not reported as closed",
  { permissions, ignore },
  async () => {
    const { backend, warnings } = backendAt(`${folder()}/credentials.json`);
    writeOpen(backend.path, 0o644, 2);
    await rejectsWith("backend_version", () => backend.put(KEY, entry()));
    Deno.writeTextFileSync(backend.path, "{");
    await rejectsWith("backend_corrupt", () => backend.put(KEY, entry()));
    writeOpen(backend.path, 0o644);
    await backend.delete(KEY);
    assertEquals([warnings, modeOf(backend.path)], [[], 0o644]);
  },
);

Deno.test("an open .validmind folder is closed by the next write, and reported once", {
  permissions,
  ignore,
}, async () => {
  const own = `${folder()}/.validmind`;
  Deno.mkdirSync(own);
  Deno.chmodSync(own, 0o755);
  const { backend, warnings } = backendAt(`${own}/credentials.json`);
  assertEquals(backend.get(KEY), undefined);
  assertEquals(modeOf(own), 0o755);
  await backend.put(KEY, entry());
  await backend.put(OTHER, entry());
  assertEquals(modeOf(own), 0o700);
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0] ?? "", /\.validmind could be read by others .*mode 755/);
});

Deno.test(
  "a folder of the caller's own choice keeps its mode",
  { permissions, ignore },
  async () => {
    const parent = folder();
    Deno.chmodSync(parent, 0o755);
    const { backend, warnings } = backendAt(`${parent}/credentials.json`);
    await backend.put(KEY, entry());
    assertEquals([modeOf(parent), modeOf(backend.path)], [0o755, 0o600]);
    assertEquals(warnings, []);
  },
);

Deno.test("a warning goes to standard error unless it is asked for", { ignore }, async () => {
  const path = `${folder()}/credentials.json`;
  writeOpen(path, 0o644);
  const code = `
      import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
      const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
      await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
    `;
  const parent = path.replace(/\/[^/]*$/, "");
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`];
  const { stdout, stderr } = await runDeno({ code, flags });
  assertEquals(stdout, "");
  assertMatch(stderr, /^@validmind\/auth: .*credentials\.json could be read .*\n$/);
});

Deno.test(
  "the target of a .validmind folder that is a link keeps its mode",
  { ignore },
  async () => {
    const parent = folder();
    Deno.mkdirSync(`${parent}/team`);
    Deno.chmodSync(`${parent}/team`, 0o755);
    Deno.symlinkSync("team", `${parent}/.validmind`);
    const { backend, warnings } = backendAt(`${parent}/.validmind/credentials.json`);
    await backend.put(KEY, entry());
    assertEquals([modeOf(`${parent}/team`), modeOf(backend.path)], [0o755, 0o600]);
    assertEquals(warnings, []);
  },
);

Deno.test("a folder whose mode cannot be changed is not reported as closed, and the put succeeds", {
  permissions,
  ignore,
}, async () => {
  const own = `${folder()}/.validmind`;
  Deno.mkdirSync(own);
  Deno.chmodSync(own, 0o777);
  const { backend, warnings } = backendAt(`${own}/credentials.json`);
  const { chmodSync } = Deno;
  const ways = [() => {}, () => {
    throw new Deno.errors.PermissionDenied("not its owner");
  }];
  for (const way of ways) {
    Deno.chmodSync = way; // a file system without modes; a folder of another user
    try {
      await backendAt(backend.path).backend.put(KEY, entry());
      await backend.put(KEY, entry());
    } finally {
      Deno.chmodSync = chmodSync;
    }
  }
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0] ?? "", /mode 777\); it could not be closed to them\. Use another path/);
});
