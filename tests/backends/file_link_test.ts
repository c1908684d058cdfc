/** Links, and what a neighbour has planted where the credentials file, its lock or its temp file is expected. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { quoteArgument } from "../../backends/common/runtime.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { catchWarnings } from "../support/caught_warnings.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";
import {
  ORDINARY_UID,
  OTHER_UID,
  runAsOrdinary,
  whyNoOrdinaryUser,
  whyNoOtherUser,
} from "../support/run_denied.ts";
import { isPosix, makePipe, modeOf, namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";
import { callsOf } from "./stores.ts";

const { folder } = sandbox(); // making a link takes every permission for files
const TEXT = JSON.stringify({ version: 1, credentials: { [KEY]: entry() } });

function place() {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  return { parent, path, backend: new FileCredentialsBackend({ path }) };
}

const test = Object.assign(testWith({ ignore: !isPosix }, "file: "), {
  asRoot: testWith({ whyNot: whyNoOtherUser }, "file: "),
  asOrdinary: testWith({ whyNot: whyNoOrdinaryUser }, "file: "),
});

/** Runs `change` right before the next call of a function of Deno. */
async function rightBefore(
  name: "openSync" | "removeSync",
  change: () => void,
  run: () => Promise<unknown>,
): Promise<void> {
  const original = Deno[name] as (...args: unknown[]) => never;
  using replaced = replace(Deno, name, (...args: unknown[]) => {
    replaced[Symbol.dispose]();
    if (name === "openSync") change();
    const value = original(...args);
    if (name === "removeSync") change();
    return value;
  });
  await run();
}

test("a pipe in the file's place, or behind a link there, is refused at once, and so is a folder", async () => {
  const { parent, path, backend } = place();
  const check = async (words: string) => {
    const accesses = [...callsOf(backend), () => backend.deleteAll()];
    for (const access of accesses) await rejectsWith("backend_denied", access, words);
  };
  await makePipe(path);
  await check("it is a named pipe");
  Deno.renameSync(path, `${parent}/pipe`);
  Deno.symlinkSync("pipe", path);
  await check("it is a named pipe");
  Deno.removeSync(path);
  Deno.mkdirSync(`${path}/inner`, { recursive: true });
  await check("it is a folder");
  assertEquals(namesIn(path), ["inner"]);
});

test("one that is exchanged for a link between the look and the opening is not read", async () => {
  const { parent, path, backend } = place();
  Deno.writeTextFileSync(path, TEXT, { mode: 0o600 });
  Deno.mkdirSync(`${parent}/folder`);
  const exchange = () => {
    Deno.removeSync(path);
    Deno.symlinkSync("folder", path); // a pipe would block, and a device could be harmed
  };
  await rightBefore(
    "openSync",
    exchange,
    () => rejectsWith("backend_denied", () => backend.get(KEY), "it is a folder"),
  );
});

test("a lock file that is a link, a pipe or a folder is refused, and its target not touched", async () => {
  const { parent, path, backend } = place();
  Deno.writeTextFileSync(`${parent}/keys`, "ssh-ed25519 AAAA", { mode: 0o600 });
  const lock = `${path}.lock`;
  const refuse = (reason: string) =>
    rejectsWith("backend_denied", () => backend.put(KEY, entry()), lock, reason);
  await makePipe(`${parent}/pipe`);
  for (const target of ["keys", "nothing", "pipe"]) {
    Deno.symlinkSync(target, lock);
    await refuse("it is a symbolic link");
    Deno.removeSync(lock);
  }
  Deno.renameSync(`${parent}/pipe`, lock);
  await refuse("it is a named pipe");
  Deno.removeSync(lock);
  Deno.mkdirSync(lock);
  await refuse("it is a folder");
  Deno.removeSync(lock);
  Deno.writeTextFileSync(lock, "", { mode: 0o600 });
  const exchange = () => {
    Deno.removeSync(lock);
    Deno.symlinkSync("keys", lock);
  };
  await rightBefore("openSync", exchange, () => refuse("it is a symbolic link"));
  assertEquals(Deno.readTextFileSync(`${parent}/keys`), "ssh-ed25519 AAAA");
  assertEquals(namesIn(parent), ["credentials.json.lock", "keys"]);
});

test("a link in the temp file's place is not written through", async () => {
  const { parent, path, backend } = place();
  Deno.writeTextFileSync(`${parent}/victim`, "untouched");
  for (const target of ["victim", "nothing"]) {
    Deno.symlinkSync(target, `${path}.tmp`);
    await backend.put(KEY, entry());
    assertEquals(Deno.lstatSync(path).isFile, true);
  }
  Deno.symlinkSync("victim", `${path}.tmp`);
  const plantAgain = () => Deno.symlinkSync("victim", `${path}.tmp`);
  const put = () => rejectsWith("backend_unavailable", () => backend.put(KEY, entry()), path);
  await rightBefore("removeSync", plantAgain, put);
  assertEquals(Deno.readTextFileSync(`${parent}/victim`), "untouched");
});

test("tokens are removed whatever was planted in the place of the lock or of the temp file", async () => {
  const { parent, path, backend } = place();
  const isThere = () => namesIn(parent).includes("credentials.json") && backend.get(KEY);
  const hasty = new FileCredentialsBackend({ path, lockTimeoutMs: 50 });
  for (const remove of [() => hasty.delete(KEY), () => hasty.deleteAll()]) {
    await backend.put(KEY, entry());
    Deno.removeSync(`${path}.lock`);
    Deno.symlinkSync("nothing", `${path}.lock`);
    Deno.mkdirSync(`${path}.tmp/inner`, { recursive: true });
    await remove();
    assertEquals(!isThere(), true);
    Deno.removeSync(`${path}.lock`);
    await backend.put(KEY, entry());
    using held = Deno.openSync(`${path}.lock`, { read: true, write: true });
    held.lockSync(true); // for ever
    await rejectsWith("backend_locked", () => hasty.put(KEY, entry()));
    await remove();
    assertEquals(!isThere(), true);
  }
  assertEquals(namesIn(parent), ["credentials.json.lock", "credentials.json.tmp"]);
});

test.asRoot("neither tokens nor a lock of another user are used", async () => {
  const attacker = OTHER_UID + 1;
  const { path, backend } = place();
  await backend.put(KEY, entry());
  for (
    const [file, run] of [
      [`${path}.lock`, () => backend.put(KEY, entry())],
      [path, () => Promise.try(() => backend.get(KEY))],
    ] as const
  ) {
    Deno.chownSync(file, attacker, attacker); // by the superuser, who can open them all
    const words = `${file}: it belongs to another user (uid ${attacker})`;
    await rejectsWith("backend_denied", run, words);
  }
});

test.asOrdinary("neither tokens nor a lock of another user are used, where only their id tells", async () => {
  const code = `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const parent = Deno.makeTempDirSync();
    const path = parent + "/c.json";
    const entry = ${JSON.stringify(entry())};
    const { uid } = Deno;
    Object.assign(Deno, { uid: () => uid() + 1 }); // a stranger in this folder
    const backend = new FileCredentialsBackend({ path });
    const seen = [];
    const see = async (run) => {
      try { seen.push(await run() ?? null); }
      catch (error) { seen.push(error.code + ": " + error.message.replaceAll(parent, "")); }
    };
    await backend.put("k", entry); // of a file system that gives all files one owner
    Deno.chmodSync(path + ".lock", 0o644);
    await see(() => backend.put("k", entry));
    Deno.chmodSync(path + ".lock", 0o600);
    Deno.chmodSync(path, 0o644);
    await see(() => backend.get("k"));
    Deno.renameSync(path, path + ".old");
    Deno.symlinkSync("/etc/passwd", path); // of the superuser, whose files are trusted
    await see(() => backend.get("k"));
    await see(() => backend.put("k", entry));
    Deno.removeSync(parent, { recursive: true });
    console.log(JSON.stringify(seen));`;
  const another = (what: string) =>
    `backend_denied: Cannot ${what}: it belongs to another user (uid ${ORDINARY_UID}). ` +
    `Use one of your own, another path, or run it as that user.`;
  assertEquals(await runAsOrdinary(code), [
    another("open the lock file /c.json.lock"),
    another("read /c.json"),
    another("read /c.json"),
    another("write /c.json"),
  ]);
});

test.asOrdinary("an own open file is used in a closed folder, and elsewhere by a flag that is named", async () => {
  const code = `
    import { quoteArgument } from "${backendUrl("common/runtime.ts")}";
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const parent = Deno.makeTempDirSync();
    const path = parent + "/c.json";
    const quoted = quoteArgument(path);
    const backend = new FileCredentialsBackend({ path });
    const seen = [];
    for (const mode of [0o700, 0o755]) {
      await backend.put("k", ${JSON.stringify(entry())});
      Deno.chmodSync(path, 0o644);
      Deno.chmodSync(parent, mode);
      try { seen.push(backend.get("k")?.client_id); }
      catch (error) { seen.push(error.message.replaceAll(quoted, path).replaceAll(parent, "")); }
    }
    Deno.removeSync(parent, { recursive: true });
    console.log(JSON.stringify(seen));`;
  const refused = `Cannot read /c.json: it belongs to another user (uid ${ORDINARY_UID}), unless ` +
    `that is you. If it is yours, run with --allow-sys=uid, or: chmod 600 /c.json`;
  const grants = ["--allow-read", "--allow-write"];
  assertEquals(await runAsOrdinary(code, grants), ["my-app", refused]);
  assertEquals(await runAsOrdinary(code, [...grants, "--allow-sys=uid"]), ["my-app", "my-app"]);
});

test.asOrdinary("a home whose folder cannot be made, as in a pod, is told by its variable", async () => {
  const code = `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const home = Deno.makeTempDirSync();
    Deno.chmodSync(home, 0o500);
    Deno.env.set("HOME", home);
    const backend = new FileCredentialsBackend();
    const run = () => backend.withLock("k", () => Promise.resolve());
    const seen = await run().catch(({ code, message }) => [code, message.replace(home, "HOME")]);
    Deno.removeSync(home);
    console.log(JSON.stringify(seen));`;
  const [seen, message] = await runAsOrdinary(code) as string[];
  assertEquals(seen, "backend_denied");
  assertMatch(
    message!,
    /^Cannot make the folder HOME\/\.validmind: .* Set HOME to a folder.*VM_OIDC_NO_PERSIST=1/,
  );
});

/** A link in one folder to a file in another, as those have who keep their dotfiles elsewhere. */
function linked(to = "../real/target.json") {
  const parent = folder();
  const [link, target] = [`${parent}/home/credentials.json`, `${parent}/real/target.json`];
  Deno.mkdirSync(`${parent}/home`);
  Deno.mkdirSync(`${parent}/real`);
  Deno.symlinkSync(to.replace("ROOT", parent), link);
  return { backend: new FileCredentialsBackend({ path: link }), link, target };
}

function writeRow(path: string): void {
  const text = JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } });
  Deno.writeTextFileSync(path, text, { mode: 0o600 });
}

function keysIn(path: string): string[] {
  return Object.keys(JSON.parse(Deno.readTextFileSync(path)).credentials).sort();
}

test("behind a link: it stays a link, and its target is replaced", async () => {
  const { backend, link, target } = linked();
  writeRow(target);
  const before = Deno.statSync(target).ino;
  await backend.put(KEY, entry());
  assert(Deno.lstatSync(link).isSymlink);
  assert(Deno.lstatSync(target).isFile);
  assert(Deno.statSync(target).ino !== before, "the target was written in place");
  assertEquals(modeOf(target), 0o600);
  assertEquals([keysIn(target), backend.get(KEY)], [[KEY, OTHER], entry()]);
  await backend.delete(KEY);
  assertEquals(keysIn(target), [OTHER]);
});

test("behind a link: one file has one lock, by whichever name it is opened", async () => {
  const { backend, target } = linked();
  writeRow(target);
  const direct = new FileCredentialsBackend({ path: target, lockTimeoutMs: 30 });
  await backend.withLock(KEY, async () => {
    await rejectsWith("backend_locked", () => direct.withLock(KEY, () => Promise.resolve()));
  });
  const patient = new FileCredentialsBackend({ path: target });
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  const put = (key: string, index: number) => (index % 2 ? backend : patient).put(key, entry());
  await Promise.all(keys.map(put));
  assertEquals(keysIn(target).length, keys.length + 1);
});

test("behind a link: to nothing, or in a circle, is an error, not an absent file, and is left as it is", async () => {
  for (
    const [to, reason] of [
      ["../real/target.json", "a link to nothing"],
      ["ROOT/home/credentials.json", "Too many levels"],
    ] as const
  ) {
    const { backend, link, target } = linked(to);
    for (const access of callsOf(backend)) {
      await rejectsWith("backend_unavailable", access, link, reason);
    }
    assert(Deno.lstatSync(link).isSymlink);
    assertEquals(namesIn(target.replace("/target.json", "")), []);
  }
});

test("behind a link: deleteAll empties the target, and a sign-in can follow", async () => {
  for (const content of [JSON.stringify({ version: 2, credentials: {} }), '{"credentials": {']) {
    const { backend, link, target } = linked();
    Deno.writeTextFileSync(target, content);
    await backend.deleteAll();
    assert(Deno.lstatSync(link).isSymlink);
    assertEquals([backend.get(KEY), keysIn(target)], [undefined, []]);
    await backend.put(KEY, entry());
    assertEquals(backend.get(KEY), entry());
  }
});

test("behind a link: a folder that is a link is followed, and keeps its mode", async () => {
  const parent = folder();
  Deno.mkdirSync(`${parent}/team`);
  Deno.chmodSync(`${parent}/team`, 0o755);
  Deno.symlinkSync("team", `${parent}/.validmind`);
  const warnings = catchWarnings();
  const path = `${parent}/.validmind/credentials.json`;
  await new FileCredentialsBackend({ path }).put(KEY, entry());
  assert(Deno.lstatSync(`${parent}/.validmind`).isSymlink);
  assertEquals(keysIn(`${parent}/team/credentials.json`), [KEY]);
  assertEquals([modeOf(`${parent}/team`), modeOf(path), warnings], [0o755, 0o600, []]);
});

test("behind a link: a folder whose volume is not there is an error, not an absent file", async () => {
  const parent = folder();
  Deno.symlinkSync(`${parent}/volume`, `${parent}/.validmind`);
  const path = `${parent}/.validmind/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  for (const access of callsOf(backend)) await rejectsWith("backend_unavailable", access, path);
  Deno.mkdirSync(`${parent}/volume`);
  assertEquals(backend.get(KEY), undefined);
});

test("behind a link: the permission that is missing is the one for the target's folder", async () => {
  const { link, target } = linked();
  writeRow(target);
  const [home, real] = [link, target].map((path) => path.replace(/\/[^/]*$/, ""));
  const code = `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const backend = new FileCredentialsBackend({ path: "${link}" });
    const entry = { issuer: "i", client_id: "c", access_token: "t" };
    try {
      await backend.withLock("k", () => backend.put("k", entry));
      console.log(backend.get("k").client_id);
    } catch (error) {
      console.log(error.code, error.message.match(/'?--allow.*/)[0]);
    }
  `;
  const run = (...folders: unknown[]) =>
    runDeno({ code, flags: [`--allow-read=${folders}`, `--allow-write=${folders}`] });
  const flags = ["read", "write"].map((name) => quoteArgument(`--allow-${name}=${real}`));
  const denied = `permission_required ${flags.join(" ")}\n`;
  assertEquals(await run(home), { code: 0, stdout: denied, stderr: "" });
  assertEquals(await run(home, real), { code: 0, stdout: "c\n", stderr: "" });
});

test("the folder behind a link is among its permissions, as Deno wants both", () => {
  const real = place().parent;
  const link = `${folder()}/link`;
  Deno.symlinkSync(real, link);
  const path = `${link}/credentials`;
  for (const store of [new FileCredentialsBackend({ path }), new KvCredentialsBackend({ path })]) {
    const needs = store.requiredPermissions();
    for (const wanted of [link, real]) {
      const names = needs.flatMap((one) => "path" in one && one.path === wanted ? one.name : []);
      assertEquals(names, ["read", "write"]);
    }
  }
});

test("its identity is the real path, also before there is a file", async () => {
  const { parent, path, backend } = place();
  const links = folder();
  Deno.symlinkSync(parent, `${links}/folder`);
  Deno.symlinkSync(path, `${links}/file.json`);
  const idOf = (path: string) => new FileCredentialsBackend({ path }).storeId;
  assertEquals(idOf(`${links}/folder/credentials.json`), backend.storeId);
  await backend.put(KEY, entry());
  for (const other of ["folder/credentials.json", "file.json"]) {
    assertEquals(idOf(`${links}/${other}`), backend.storeId);
  }
  assertEquals(backend.storeId === idOf(`${parent}/other.json`), false);
});
