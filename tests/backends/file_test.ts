import { assert, assertEquals } from "@std/assert";
import { credentialsPath, FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { withEnv } from "../support/own_env.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";
import { callsOf } from "./stores.ts";

const { folder, permissions } = sandbox();

function backendIn(parent = folder()): FileCredentialsBackend {
  return new FileCredentialsBackend({ path: `${parent}/credentials.json` });
}

/** A backend of a file with this content. */
function written(content: unknown, parent = folder()): FileCredentialsBackend {
  const backend = backendIn(parent);
  Deno.mkdirSync(parent, { recursive: true, mode: 0o700 });
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const bytes = content instanceof Uint8Array ? content : new TextEncoder().encode(text);
  Deno.writeFileSync(backend.path, bytes, { mode: 0o600 });
  return backend;
}

function read({ path }: FileCredentialsBackend): Record<string, unknown> {
  return JSON.parse(Deno.readTextFileSync(path));
}

const test = testWith({ permissions }, "file: ");

test("one that is only read gives undefined and makes nothing", async () => {
  const parent = folder();
  const backend = backendIn(`${parent}/deep/er`);
  assertEquals(backend.get(KEY), undefined);
  assertEquals(await Array.fromAsync(backend.list()), []);
  await backend.delete(KEY);
  assertEquals(namesIn(parent), []);
});

test("it has the documented format, and ends with a line end", async () => {
  const parent = `${folder()}/deep/er`;
  const backend = backendIn(parent);
  await backend.put(KEY, entry());
  await backendIn(parent).put(OTHER, entry());
  const credentials = { [KEY]: entry(), [OTHER]: entry() };
  assertEquals(read(backend), { version: 1, credentials });
  assert(Deno.readTextFileSync(backend.path).endsWith("}\n"));
  await Promise.all([backend.delete(KEY), backendIn(parent).delete(KEY), backend.delete(KEY)]);
  assertEquals(read(backend), { version: 1, credentials: { [OTHER]: entry() } });
});

test("a delete of a missing entry leaves the file as it is, to the byte", async () => {
  const text = `{"credentials":{"${KEY}":{"issuer":"i"}},   "version":1}`;
  const backend = written(text);
  await backend.delete(OTHER);
  assertEquals(Deno.readTextFileSync(backend.path), text);
  assertEquals(namesIn(backend.path.replace(/\/[^/]*$/, "")), ["credentials.json"]);
});

test("a put keeps all else that stands there, in its order", async () => {
  const theirs = { ...entry(), x_theirs: { deep: [null, { a: 1 }] }, id_token: null };
  const before = { x_top: [1, { b: null }], version: 1, credentials: { [OTHER]: theirs, x: null } };
  const backend = written(before);
  await backend.put(KEY, entry());
  const after = { ...before, credentials: { ...before.credentials, [KEY]: entry() } };
  assertEquals(Deno.readTextFileSync(backend.path), `${JSON.stringify(after, null, 2)}\n`);
});

test("one without a version, or without credentials, counts as empty version 1", async () => {
  for (const before of [{}, { version: 1 }, { credentials: {} }]) {
    const backend = written(before);
    assertEquals(backend.get(KEY), undefined);
    await backend.put(KEY, entry());
    assertEquals(read(backend), { version: 1, credentials: { [KEY]: entry() } });
  }
});

test("one of a higher version is read but not changed", async () => {
  const backend = written({ version: 2, credentials: { [KEY]: entry() }, x_new: true });
  const before = Deno.readFileSync(backend.path);
  assertEquals(backend.get(KEY), entry());
  assertEquals(await Array.fromAsync(backend.list()), [KEY]);
  const words = [backend.path, "version 2", "version 1"];
  await rejectsWith("backend_version", () => backend.put(KEY, entry()), ...words);
  await rejectsWith("backend_version", () => backend.put(OTHER, entry()), ...words);
  await rejectsWith("backend_version", () => backend.delete(KEY), ...words);
  const lock = () => backend.withLock(KEY, () => Promise.resolve());
  await rejectsWith("backend_version", lock, ...words);
  await backend.delete(OTHER); // absent: nothing to change
  assertEquals(Deno.readFileSync(backend.path), before);
  await backend.deleteAll();
  assertEquals(backend.get(KEY), undefined);
  const packages = written({ version: 3, packages: {} });
  await rejectsWith("backend_version", () => packages.get(KEY), packages.path, "version 3");
});

test("a null row is absent, and a put replaces it", async () => {
  const backend = written({ version: 1, credentials: { [KEY]: null, [OTHER]: entry() } });
  assertEquals(backend.get(KEY), undefined);
  assertEquals(await Array.fromAsync(backend.list()), [OTHER]);
  await backend.put(KEY, entry());
  assertEquals(backend.get(KEY), entry());
});

test("an entry that JSON cannot hold is an error: the file is as it was, and its lock is free", async () => {
  const { path } = written({ version: 1, credentials: { [KEY]: entry() } });
  const backend = new FileCredentialsBackend({ path, lockTimeoutMs: 5_000 });
  const before = Deno.readFileSync(path);
  const odd = entry({ x_big: 1n });
  await rejectsWith("backend_unavailable", () => backend.put(KEY, odd), path);
  assertEquals(Deno.readFileSync(path), before);
  await backend.put(KEY, entry());
});

const whole = JSON.stringify({ version: 1, credentials: { [KEY]: entry() } });
const rows = { [KEY]: entry() };

/** What nobody can make sense of: every access fails. */
const CORRUPT: Record<string, unknown> = {
  "empty": "",
  "truncated in a token": whole.slice(0, whole.indexOf(entry().access_token) + 11),
  "followed by rubbish": `${whole}}`,
  "not UTF-8": Uint8Array.from('{"credentials": {"k": {"x": "ÿ"}}}', (char) => char.charCodeAt(0)),
  "null": null,
  "a number that JavaScript cannot hold": "1.50",
  "an array": [entry()],
  "of a string version": { version: "1", credentials: rows },
  "of version 0": { version: 0, credentials: rows },
  "of version 1.5": { version: 1.5, credentials: rows },
  "with an array of credentials": { version: 1, credentials: [entry()] },
  "another program's": { name: "app", dependencies: {} },
  "another program's, with a version": { version: 1, packages: {} },
};

for (const [what, content] of Object.entries(CORRUPT)) {
  test(`one that is ${what} is an error, is left as it is, and can be removed`, async () => {
    const parent = folder();
    const backend = written(content, parent);
    const { path } = backend;
    const before = Deno.readFileSync(path);
    for (const access of callsOf(backend)) {
      const reason = /UTF|truncated|empty|rubbish/.test(what) ? "not a JSON object in UTF-8" : "";
      const words = [
        path,
        reason,
        "clearOidcCredentials({ all: true, credentialsBackend })",
        "or delete it",
      ];
      const { cause } = await rejectsWith("backend_corrupt", access, ...words);
      assertEquals(cause, undefined); // it would quote the file
    }
    assertEquals(Deno.readFileSync(path), before);
    assertEquals(namesIn(parent).filter((name) => !name.endsWith(".lock")), ["credentials.json"]);
    const own = written(content, `${parent}/.validmind`);
    await own.deleteAll(); // whatever it is, at the default place
    await own.put(KEY, entry());
    assertEquals(own.get(KEY), entry());
  });
}

test("U+FFFD and one byte order mark are text", async () => {
  for (
    const [text, expected] of [
      ["…größe 🔑", "größe 🔑"],
      ["…a\uFFFDb", "a\uFFFDb"],
      ["\uFEFF…\uFFFD", "\uFFFD"],
      ["…\uFEFFa", "\uFEFFa"],
    ] as const
  ) {
    const content = `${text.replace("…", '{"credentials": {"k": {"x": "')}"}}}`;
    const backend = written(content);
    assertEquals({ ...backend.get("k") }, { x: expected } as object, text);
    await backend.put("other", entry());
    assertEquals({ ...backend.get("k") }, { x: expected } as object, text);
  }
});

for (const row of ["a token", 1, true, [entry()]]) {
  test(`a row that is ${JSON.stringify(row).slice(0, 12)}… is an error, others work`, async () => {
    const backend = written({ version: 1, credentials: { [KEY]: row, [OTHER]: entry() } });
    const { path } = backend;
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    await backend.put(OTHER, entry({ x_new: 1 }));
    assertEquals(backend.get(OTHER), entry({ x_new: 1 }));
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    await backend.delete(KEY);
    assertEquals(backend.get(KEY), undefined);
  });
}

test("deleteAll at any path removes what looks like credentials, whole or damaged", async () => {
  const own = ["", " \n", '{"version": 1, "credentials": {"a|b', "{}", '{"version": 1}'];
  own.push('{"version": 2, "credentials": {}}', '{"version": "1", "credentials": {}, "x": 1}');
  for (const text of own) {
    const parent = folder();
    await written(text, parent).deleteAll();
    assertEquals(namesIn(parent), ["credentials.json.lock"], text);
  }
  const others = ["notes", '{"name": "app"}', '{"credentials": []}', '{"version": 2, "items": []}'];
  others.push('{"version": 1, "credentials": [{"a": 1}]}', '{"installed": {"client_id": "x"}}');
  others.push('[{"credentials": {}}]', '"\\"credentials\\""', "null");
  for (const text of others) {
    const backend = written(text);
    const words = [backend.path, "does not look like", "delete the file yourself"];
    await rejectsWith("backend_corrupt", () => backend.deleteAll(), ...words);
    assertEquals(Deno.readTextFileSync(backend.path), text);
  }
});

test("one that is larger than any credentials file is neither read nor deleted", async () => {
  const backend = written("");
  const { path } = backend;
  Deno.truncateSync(path, 64 * 1024 * 1024 + 1); // takes no space
  const words = [path, "67108865 bytes"];
  await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
  await rejectsWith("backend_denied", () => backend.put(KEY, entry()), ...words);
  await rejectsWith("backend_denied", () => backend.deleteAll(), path);
  assertEquals(Deno.statSync(path).size, 67_108_865);
});

const isWindows = Deno.build.os === "windows";
const HOME = isWindows ? "USERPROFILE" : "HOME";

const pathTest = Object.assign(testWith({ permissions: { env: [HOME] } }, "credentialsPath "), {
  denied: testWith({ permissions: "none" }, "credentialsPath "),
});

pathTest("is the file of the Python library in the home folder", async () => {
  const [home, path] = isWindows
    ? ["C:\\Users\\ana", "C:\\Users\\ana\\.validmind\\credentials.json"]
    : ["/home/ana", "/home/ana/.validmind/credentials.json"];
  for (const end of ["", "/", "//"]) {
    assertEquals(await withEnv({ [HOME]: `${home}${end}` }, credentialsPath), path);
  }
});

pathTest("no home folder, or a relative one, is home_unset, and says what to do", async () => {
  for (const home of ["", ".", "home/ana", undefined]) {
    await withEnv({}, async () => {
      if (home === undefined) Deno.env.delete(HOME);
      else Deno.env.set(HOME, home);
      await rejectsWith("home_unset", credentialsPath, HOME, '"path"', "VM_OIDC_NO_PERSIST=1");
    });
  }
});

pathTest.denied("that may not read the variable is permission_required", async () => {
  await rejectsWith("permission_required", credentialsPath, `--allow-env=${HOME}`);
});
