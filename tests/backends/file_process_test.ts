import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { ALL, backendUrl, runDeno, startDeno } from "../support/deno_process.ts";
import { small } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";

const { folder } = sandbox();
const IMPORT = `import { FileCredentialsBackend } from "${backendUrl("file.ts")}";`;

/** Holds the lock of the key "k" until it is killed or its input ends. */
function holder(path: string): string {
  return `
    ${IMPORT}
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    await backend.withLock("k", async () => {
      console.log("held");
      await new Response(Deno.stdin.readable).text();
    });
  `;
}

Deno.test("four processes that write different keys lose nothing", async () => {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  const code = `
    ${IMPORT}
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    for (let i = 0; i < 50; i++) {
      const key = \`\${Deno.args[0]}-\${i}\`;
      await backend.put(key, { issuer: "i", client_id: key, access_token: "t" });
    }
  `;
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`];
  const writers = ["a", "b", "c", "d"];
  const results = await Promise.all(
    writers.map((name) => runDeno({ code, flags, args: [name], timeoutMs: 60_000 })),
  );
  for (const result of results) assertEquals(result, { code: 0, stdout: "", stderr: "" });
  const keys = await Array.fromAsync(new FileCredentialsBackend({ path }).list());
  const expected = writers.flatMap((name) => Array.from({ length: 50 }, (_, i) => `${name}-${i}`));
  assertEquals(keys.sort(), expected.sort());
  assertEquals(namesIn(parent), ["credentials.json", "credentials.json.lock"]);
});

Deno.test("a reader never sees half a file while another process writes", async () => {
  const path = `${folder()}/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  await backend.put("k", small("0"));
  await using writer = startDeno({
    flags: ALL,
    code: `
    ${IMPORT}
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    const fill = "f".repeat(100_000);
    console.log("begun");
    for (let i = 1; i <= 60; i++) {
      await backend.put("k", { issuer: "i", client_id: String(i), access_token: "t", fill });
    }
    console.log("done");
  `,
  });
  await writer.line();
  let isDone = false;
  const done = writer.line().then(() => isDone = true);
  let last = 0;
  while (!isDone) {
    const seen = Number(backend.get("k")?.client_id);
    assert(seen >= last, "an older state came back");
    last = seen;
    await new Promise((resolve) => setTimeout(resolve));
  }
  await done;
  assertEquals(backend.get("k")?.client_id, "60");
});

Deno.test("one process at a time runs under a key's lock", async () => {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  const marker = `${parent}/inside`;
  const code = `
    ${IMPORT}
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    for (let i = 0; i < 15; i++) {
      await backend.withLock("k", async () => {
        Deno.openSync(${JSON.stringify(marker)}, { write: true, createNew: true }).close();
        const { client_id } = backend.get("count") ?? { client_id: "0" };
        await new Promise((resolve) => setTimeout(resolve, 1));
        const next = String(Number(client_id) + 1);
        await backend.put("count", { issuer: "i", client_id: next, access_token: "t" });
        Deno.removeSync(${JSON.stringify(marker)});
      });
    }
  `;
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`];
  const results = await Promise.all([1, 2, 3].map(() => runDeno({ code, flags })));
  for (const result of results) assertEquals(result, { code: 0, stdout: "", stderr: "" });
  assertEquals(new FileCredentialsBackend({ path }).get("count")?.client_id, "45");
});

Deno.test("a lock that another process holds is backend_locked, naming its file", async () => {
  const path = `${folder()}/credentials.json`;
  await using child = startDeno({ code: holder(path), flags: ALL });
  assertEquals(await child.line(), "held");
  const backend = new FileCredentialsBackend({ path, lockTimeoutMs: 40 });
  const run = () => Promise.resolve();
  const words = [path, "40 ms"];
  await rejectsWith("backend_locked", () => backend.withLock("k", run), ...words);
  await backend.withLock("other", run);
  await backend.put("k", small("k")); // a write is not held up by who refreshes
});

Deno.test("a lock is free as soon as its holder was killed", async () => {
  const path = `${folder()}/credentials.json`;
  await using child = startDeno({ code: holder(path), flags: ALL });
  assertEquals(await child.line(), "held");
  const backend = new FileCredentialsBackend({ path });
  let isKilled = false;
  const waiting = backend.withLock("k", () => Promise.resolve(isKilled));
  await new Promise((resolve) => setTimeout(resolve, 20));
  isKilled = true;
  await child.kill();
  assertEquals(await waiting, true);
});

Deno.test("a writer that is killed leaves a sound file", async () => {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  await backend.put("mine", small("mine"));
  for (const waitMs of [2, 7, 15]) {
    await using child = startDeno({
      flags: ALL,
      code: `
      ${IMPORT}
      const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
      const fill = "f".repeat(300_000);
      console.log("begun");
      for (let i = 1;; i++) {
        await backend.put("theirs", { issuer: "i", client_id: String(i), access_token: "t", fill });
      }
    `,
    });
    await child.line();
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await child.kill();
    assertEquals(backend.get("mine"), small("mine"));
    await backend.put("mine", small("mine"));
    assertEquals(namesIn(parent), ["credentials.json", "credentials.json.lock"]);
  }
});
