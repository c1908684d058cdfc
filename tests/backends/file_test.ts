import { assert, assertEquals } from "@std/assert";
import { credentialsPath, FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { withEnv } from "../support/own_env.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";

const { folder, permissions } = sandbox();

function backendIn(parent = folder()): FileCredentialsBackend {
  return new FileCredentialsBackend({ path: `${parent}/credentials.json` });
}

/** A backend of a file with this content. */
function written(content: unknown): FileCredentialsBackend {
  const backend = backendIn();
  const text = typeof content === "string" ? content : JSON.stringify(content);
  Deno.writeTextFileSync(backend.path, text, { mode: 0o600 });
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

test("numbers that JavaScript cannot hold are kept as written", async () => {
  const text = `{
  "version": 1,
  "credentials": {
    "a": {
      "access_token": "12345678901234567890",
      "big": 12345678901234567890,
      "nested": [
        -98765432109876543210,
        {
          "x": 1.50
        }
      ]
    },
    "b": {
      "access_token": "t",
      "big": 9007199254740993
    }
  }
}
`;
  const backend = written(text);
  await backend.put("b", { ...backend.get("b")!, big: 5 });
  const expected = text.replace("9007199254740993", "5");
  assertEquals(Deno.readTextFileSync(backend.path), expected);
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
  const backend = new FileCredentialsBackend({ path, lockTimeoutMs: 0 });
  const before = Deno.readFileSync(path);
  const odd = entry({ x_big: 1n });
  await rejectsWith("backend_unavailable", () => backend.put(KEY, odd), path);
  assertEquals(Deno.readFileSync(path), before);
  await backend.put(KEY, entry());
});

const isWindows = Deno.build.os === "windows";
const HOME = isWindows ? "USERPROFILE" : "HOME";

Deno.test("credentialsPath is the file of the Python library in the home folder", {
  permissions: { env: [HOME] },
}, async () => {
  const [home, path] = isWindows
    ? ["C:\\Users\\ana", "C:\\Users\\ana\\.validmind\\credentials.json"]
    : ["/home/ana", "/home/ana/.validmind/credentials.json"];
  for (const end of ["", "/", "//"]) {
    assertEquals(await withEnv({ [HOME]: `${home}${end}` }, credentialsPath), path);
  }
});

Deno.test("credentialsPath without a home folder is home_unset and says what to do", async () => {
  for (const home of ["", undefined]) {
    await withEnv({}, async () => {
      if (home === undefined) Deno.env.delete(HOME);
      else Deno.env.set(HOME, home);
      await rejectsWith("home_unset", credentialsPath, HOME, '"path"');
    });
  }
});

Deno.test(
  "credentialsPath that may not read the variable is permission_required",
  { permissions: "none" },
  async () => void await rejectsWith("permission_required", credentialsPath, `--allow-env=${HOME}`),
);
