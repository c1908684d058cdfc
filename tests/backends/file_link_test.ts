import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";
import { callsOf } from "./stores.ts";

const { folder } = sandbox(); // making a link takes every permission for files

interface Linked {
  backend: FileCredentialsBackend;
  link: string;
  target: string;
}

/** A link in one folder to a file in another, as those have who keep their dotfiles elsewhere. */
function linked(to = "../real/target.json"): Linked {
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

const test = testWith({ ignore: !isPosix }, "file behind a link: ");

test("it stays a link, and its target is replaced", async () => {
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

test("one file has one lock, by whichever name it is opened", async () => {
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

test("to nothing, or in a circle, is an error, not an absent file, and is left as it is", async () => {
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

test("deleteAll empties the target, and a sign-in can follow", async () => {
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

test("a folder that is a link is followed, and keeps its mode", async () => {
  const parent = folder();
  Deno.mkdirSync(`${parent}/team`);
  Deno.chmodSync(`${parent}/team`, 0o755);
  Deno.symlinkSync("team", `${parent}/.validmind`);
  const warnings: string[] = [];
  const path = `${parent}/.validmind/credentials.json`;
  const onWarning = (message: string) => void warnings.push(message);
  await new FileCredentialsBackend({ path, onWarning }).put(KEY, entry());
  assert(Deno.lstatSync(`${parent}/.validmind`).isSymlink);
  assertEquals(keysIn(`${parent}/team/credentials.json`), [KEY]);
  assertEquals([modeOf(`${parent}/team`), modeOf(path), warnings], [0o755, 0o600, []]);
});

test("the permission that is missing is the one for the target's folder", async () => {
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
      console.log(error.code, error.message.match(/--allow.*/)[0]);
    }
  `;
  const run = (...folders: unknown[]) =>
    runDeno({ code, flags: [`--allow-read=${folders}`, `--allow-write=${folders}`] });
  const denied = `permission_required --allow-read=${real} --allow-write=${real}\n`;
  assertEquals(await run(home), { code: 0, stdout: denied, stderr: "" });
  assertEquals(await run(home, real), { code: 0, stdout: "c\n", stderr: "" });
});
