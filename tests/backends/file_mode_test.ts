import { assertEquals, assertMatch } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { catchWarnings } from "../support/caught_warnings.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";

const { folder, permissions } = sandbox();

const warnings = catchWarnings();

function backendAt(path: string) {
  warnings.length = 0;
  return { backend: new FileCredentialsBackend({ path }), warnings };
}

function writeOpen(path: string, mode: number, version = 1): void {
  Deno.writeTextFileSync(path, JSON.stringify({ version, credentials: { [OTHER]: entry() } }));
  Deno.chmodSync(path, mode);
}

const test = Object.assign(testWith({ permissions, ignore: !isPosix }, "file modes: "), {
  withRun: testWith({ ignore: !isPosix }, "file modes: "),
});

test.withRun("files are 0600 and new folders 0700, whatever the umask, without a warning", async () => {
  const own = `${folder()}/a/.validmind`;
  const code = `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    for (const umask of [0o000, 0o077]) {
      Deno.umask(umask);
      const backend = new FileCredentialsBackend({ path: "${own}" + umask + "/credentials.json" });
      const entry = { issuer: "i", client_id: "c", access_token: "t" };
      await backend.withLock("k", () => backend.put("k", entry));
    }
  `;
  const { code: exit, stderr } = await runDeno({ code, flags: ["-A"] });
  assertEquals([exit, stderr], [0, ""]);
  assertEquals(modeOf(own.replace("/.validmind", "")), 0o700);
  for (const path of [`${own}0`, `${own}63`]) {
    assertEquals([modeOf(path), namesIn(path).length], [0o700, 3]);
    for (const name of namesIn(path)) assertEquals(modeOf(`${path}/${name}`), 0o600, name);
  }
});

for (const mode of [0o644, 0o640, 0o604]) {
  test(`one of ${mode.toString(8)} is closed by the next write, and told once`, async () => {
    const { backend, warnings } = backendAt(`${folder()}/credentials.json`);
    writeOpen(backend.path, mode);
    assertEquals([backend.get(OTHER), warnings], [entry(), []]);
    for (let times = 0; times < 2; times++) {
      await backend.put(KEY, entry());
      assertEquals([modeOf(backend.path), warnings.length], [0o600, 1]);
      writeOpen(backend.path, mode);
    }
    const words = `${backend.path} could be read by others .*mode ${mode.toString(8)}.*sign in`;
    assertMatch(warnings[0] ?? "", new RegExp(words));
  });
}

test("one that is not written is not told as closed", async () => {
  const { backend, warnings } = backendAt(`${folder()}/credentials.json`);
  writeOpen(backend.path, 0o644, 2);
  await rejectsWith("backend_version", () => backend.put(KEY, entry()));
  Deno.writeTextFileSync(backend.path, "{");
  await rejectsWith("backend_corrupt", () => backend.put(KEY, entry()));
  writeOpen(backend.path, 0o644);
  await backend.delete(KEY);
  assertEquals([warnings, modeOf(backend.path)], [[], 0o644]);
});

test("an open .validmind folder is closed by the next write, and others are not", async () => {
  const parent = folder();
  for (const name of [".validmind", "chosen"]) {
    Deno.mkdirSync(`${parent}/${name}`);
    Deno.chmodSync(`${parent}/${name}`, 0o755);
    const { backend, warnings } = backendAt(`${parent}/${name}/credentials.json`);
    assertEquals([backend.get(KEY), modeOf(`${parent}/${name}`)], [undefined, 0o755]);
    await backend.put(KEY, entry());
    await backend.put(OTHER, entry());
    const isOwn = name === ".validmind";
    assertEquals(modeOf(`${parent}/${name}`), isOwn ? 0o700 : 0o755);
    assertEquals(warnings, []);
  }
});

test("a put succeeds in a folder whose mode cannot be changed", async () => {
  const own = `${folder()}/.validmind`;
  Deno.mkdirSync(own);
  Deno.chmodSync(own, 0o777);
  const { backend, warnings } = backendAt(`${own}/credentials.json`);
  const ways = [() => {}, () => {
    throw new Deno.errors.PermissionDenied("not its owner");
  }];
  for (const way of ways) {
    using _ = replace(Deno, "chmodSync", way); // a file system without modes; a folder of another user
    await backend.put(KEY, entry());
  }
  assertEquals(warnings, []);
});

test("a warning goes to standard error, and is no failure there", async () => {
  const path = `${folder()}/credentials.json`;
  let text = "";
  const broken = () => {
    throw new Deno.errors.BrokenPipe("closed");
  };
  const kept = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  for (const write of [broken, kept]) {
    writeOpen(path, 0o644);
    using _ = replace(Deno.stderr, "writeSync", write);
    await new FileCredentialsBackend({ path }).put(KEY, entry());
  }
  assertMatch(text, /^@validmind\/auth: .*credentials\.json could be read .*\n$/);
});
