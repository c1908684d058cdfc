import { assert, assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER, small } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { runDenied, whyNoDenial } from "../support/run_denied.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";

const { root, folder, permissions } = sandbox();

Deno.test("a KV database and the files beside it are 0600 from their creation, in 0700 folders", {
  permissions,
  ignore: !isPosix,
}, async () => {
  const parent = `${folder()}/new`;
  const backend = new KvCredentialsBackend({ path: `${parent}/kv.db` });
  await backend.put(KEY, entry());
  const names = namesIn(parent);
  assert(names.includes("kv.db-wal"), names.join());
  for (const name of names) assertEquals(modeOf(`${parent}/${name}`), 0o600, name);
  assertEquals(modeOf(parent), 0o700);
  await backend.close();
});

Deno.test("a KV database is 0600 before SQLite writes the first byte into it", {
  permissions,
  ignore: !isPosix,
}, async () => {
  const path = `${folder()}/kv.db`;
  const { openKv } = Deno;
  const replace = (value: typeof openKv) => Object.defineProperty(Deno, "openKv", { value });
  const seen: number[] = [];
  replace((...args) => {
    seen.push(modeOf(path), Deno.statSync(path).size);
    return openKv(...args);
  });
  try {
    const backend = new KvCredentialsBackend({ path });
    await backend.put(KEY, entry());
    await backend.close();
  } finally {
    replace(openKv);
  }
  assertEquals(seen, [0o600, 0]);
});

Deno.test("a KV database's modes do not depend on the umask", { ignore: !isPosix }, async () => {
  const parent = folder();
  const quoted = JSON.stringify(parent);
  const code = `
      import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
      Deno.umask(0);
      const backend = new KvCredentialsBackend({ path: ${quoted} + "/new/kv.db" });
      await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
      const files = [...Deno.readDirSync(${quoted} + "/new")].map(({ name }) => name);
      console.log(files.map((name) => Deno.statSync(${quoted} + "/new/" + name).mode & 0o777).join());
      await backend.close();
    `;
  const flags = ["--unstable-kv", `--allow-read=${parent}`, `--allow-write=${parent}`];
  const { stdout, stderr } = await runDeno({ code, flags: [...flags, "--allow-sys"] });
  assertEquals(stderr, "");
  assertEquals(new Set(stdout.trim().split(",").map(Number)), new Set([0o600]));
});

Deno.test("a KV database that others could read is closed when it is opened", {
  permissions,
  ignore: !isPosix,
}, async () => {
  const path = `${folder()}/kv.db`;
  const kv = await Deno.openKv(path);
  await kv.set(["validmind", "oidc", KEY], entry());
  kv.close();
  Deno.chmodSync(path, 0o644);
  const backend = new KvCredentialsBackend({ path });
  assertEquals(await backend.get(KEY), entry());
  await backend.put(OTHER, entry());
  for (const name of namesIn(path.replace("/kv.db", ""))) {
    assertEquals(modeOf(path.replace("kv.db", name)), 0o600, name);
  }
  await backend.close();
});

Deno.test("a KV database needs no permission beyond its folder", {
  permissions: { read: [`${root}/narrow`], write: [`${root}/narrow`] },
}, async () => {
  const backend = new KvCredentialsBackend({ path: `${root}/narrow/kv.db` });
  await backend.withLock(KEY, () => backend.put(KEY, entry()));
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
});

Deno.test("a KV database that Deno does not permit is permission_required, naming the flags", {
  permissions: "none",
}, async () => {
  const backend = new KvCredentialsBackend({ path: "/elsewhere/kv.db" });
  const words = ["/elsewhere/kv.db", "--allow-read=/elsewhere", "--allow-write=/elsewhere"];
  await rejectsWith("permission_required", () => backend.get(KEY), ...words);
  await rejectsWith("permission_required", () => backend.put(KEY, entry()), ...words);
  await rejectsWith("permission_required", () => backend.withLock(KEY, async () => {}), ...words);
  await rejectsWith("permission_required", () => Array.fromAsync(backend.list()), ...words);
});

Deno.test(
  whyNoDenial
    ? `a KV database that the system denies is backend_denied (ignored: ${whyNoDenial})`
    : "a KV database that the system denies is backend_denied",
  { ignore: whyNoDenial !== undefined },
  async () => {
    const parent = folder();
    Deno.writeTextFileSync(`${parent}/kv.db`, "", { mode: 0o600 });
    Deno.chmodSync(parent, 0o000);
    try {
      const code = `
        import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
        const backend = new KvCredentialsBackend({ path: ${JSON.stringify(`${parent}/kv.db`)} });
        const code = await backend.get("k").then(() => "none", (error) => error.code);
        console.log(JSON.stringify(code));
      `;
      assertEquals(await runDenied(code), "backend_denied");
    } finally {
      Deno.chmodSync(parent, 0o700);
    }
  },
);

Deno.test(
  "a file that is no database is backend_corrupt, and keeps its content",
  { permissions },
  async () => {
    const path = `${folder()}/kv.db`;
    const text = `{"access_token": "${entry().access_token}"}\n`.repeat(200);
    Deno.writeTextFileSync(path, text);
    const backend = new KvCredentialsBackend({ path });
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    await rejectsWith("backend_corrupt", () => backend.put(KEY, entry()), path);
    assertEquals(Deno.readTextFileSync(path), text);
    await backend.close();
  },
);

Deno.test(
  "a directory in the database's place is an error",
  { permissions, ignore: !isPosix },
  async () => {
    const backend = new KvCredentialsBackend({ path: folder() });
    await rejectsWith(
      "backend_denied",
      () => backend.get(KEY),
      backend.path,
      "it is a folder",
    );
  },
);

Deno.test("a row that is not an entry is backend_corrupt without its content, and can be deleted", {
  permissions,
}, async () => {
  const path = `${folder()}/kv.db`;
  const backend = new KvCredentialsBackend({ path });
  await backend.put(OTHER, small("other"));
  const kv = await Deno.openKv(path);
  for (const value of [entry().access_token, 1, true, [entry()]]) {
    await kv.set(["validmind", "oidc", KEY], value);
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    assertEquals(await backend.get(OTHER), small("other"));
    await backend.delete(KEY);
    assertEquals(await backend.get(KEY), undefined);
  }
  await kv.set(["validmind", "oidc", KEY], null);
  assertEquals(await backend.get(KEY), undefined);
  assertEquals(await Array.fromAsync(backend.list()), [OTHER]);
  kv.close();
  await backend.close();
});

Deno.test("an entry that is replaced while it is read comes back whole, the old or the new", {
  permissions,
}, async () => {
  const path = `${folder()}/kv.db`;
  const [one, other] = [new KvCredentialsBackend({ path }), new KvCredentialsBackend({ path })];
  const sizes = [10, 10_000, 60_000];
  const make = (n: number) => entry({ n, x_fill: String(n % 10).repeat(sizes[n % 3]!) });
  await one.put(KEY, make(0));
  let isDone = false;
  const writing = (async () => {
    for (let n = 1; n < 60; n++) await one.put(KEY, make(n));
    isDone = true;
  })();
  while (!isDone) {
    const read = await other.get(KEY);
    assertEquals(read, make(Number(read?.n)));
  }
  await writing;
  await one.close();
  await other.close();
});

Deno.test("three processes that write different keys to one KV database lose nothing", async () => {
  const parent = folder();
  const path = `${parent}/kv.db`;
  const code = `
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    const backend = new KvCredentialsBackend({ path: ${JSON.stringify(path)} });
    for (let i = 0; i < 20; i++) {
      const key = Deno.args[0] + i;
      const put = () => backend.put(key, { issuer: "i", client_id: key, access_token: "t" });
      await (i % 2 ? put() : backend.withLock("shared", put));
    }
    await backend.close();
  `;
  const flags = ["--unstable-kv", `--allow-read=${parent}`, `--allow-write=${parent}`];
  const writers = ["a", "b", "c"];
  const results = await Promise.all(
    writers.map((name) => runDeno({ code, flags, args: [name], timeoutMs: 60_000 })),
  );
  for (const result of results) assertEquals(result, { code: 0, stdout: "", stderr: "" });
  const backend = new KvCredentialsBackend({ path });
  assertEquals((await Array.fromAsync(backend.list())).length, 60);
  await backend.close();
});
