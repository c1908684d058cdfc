import { assert, assertEquals } from "@std/assert";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { ALL, backendUrl, runDeno, startDeno } from "../support/deno_process.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder } = sandbox();

/** A script in which `open(names)` gives a fallback over files, of which those in `cut` are out of reach. */
function script(parent: string, code: string): string {
  return `
    import { CredentialsBackendError } from "${backendUrl("credentials_backend_error.ts")}";
    import { FallbackCredentialsBackend } from "${backendUrl("fallback.ts")}";
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const out = () => { throw new CredentialsBackendError("backend_unavailable", "Cannot: cut. Wait."); };
    const file = (name, isCut) => {
      const store = new FileCredentialsBackend({ path: ${
    JSON.stringify(`${parent}/`)
  } + name + ".json" });
      return isCut
        ? Object.assign(store, { get: out, put: out, delete: out, withLock: async () => out() })
        : store;
    };
    const open = (names, cut = "") => new FallbackCredentialsBackend({
      backends: [...names].map((name) => file(name, cut.includes(name))),
      onFallback: () => {},
    });
    ${code}
  `;
}

Deno.test("processes that list different stores and all reach the last one count without a loss", async () => {
  const parent = folder();
  const code = script(
    parent,
    `
    const [names, cut] = Deno.args;
    const backend = open(names, cut);
    for (let i = 0; i < 12; i++) {
      await backend.withLock("k", async () => {
        const { count = 0 } = await backend.get("k") ?? {};
        await new Promise((resolve) => setTimeout(resolve, 1));
        await backend.put("k", { issuer: "i", client_id: "c", access_token: "t", count: count + 1 });
      });
    }
  `,
  );
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`];
  // All reach b, where the entry is: no other store answers.
  const seed = open(parent, "b");
  await seed.put("k", { issuer: "i", client_id: "c", access_token: "t", count: 0 });
  const settings = [["b", ""], ["cb", "c"], ["acb", "ac"], ["ab", "a"]];
  const results = await Promise.all(
    settings.map((args) => runDeno({ code, flags, args, timeoutMs: 60_000 })),
  );
  for (const result of results) assertEquals(result, { code: 0, stdout: "", stderr: "" });
  assertEquals((await open(parent, "b").get("k"))?.count, 48);
});

Deno.test("two rankings of the same stores lock in one order, and do not wait for each other for ever", async () => {
  const parent = folder();
  const code = script(
    parent,
    `
    const backend = open(Deno.args[0]);
    for (let i = 0; i < 25; i++) await backend.withLock("k", () => Promise.resolve());
    console.log("done");
  `,
  );
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`];
  const results = await Promise.all(
    ["ab", "ba", "ab", "ba"].map((names) => runDeno({ code, flags, args: [names] })),
  );
  for (const result of results) assertEquals(result, { code: 0, stdout: "done\n", stderr: "" });
});

Deno.test("a process that is killed while it moves an entry leaves one that counts, never an older one", async () => {
  for (let round = 0; round < 6; round++) {
    const parent = folder();
    const backend = open(parent, "ab");
    const writes = script(
      parent,
      `
      const entry = (n) => ({ issuer: "i", client_id: "c", access_token: "t", n });
      const [one, other] = [open("ab"), open("ba")];
      for (let n = 1;; n++) {
        await (n % 2 ? one : other).put("k", entry(n)); // each write moves it
        console.log(n);
      }
    `,
    );
    let acknowledged = 0;
    {
      await using child = startDeno({ code: writes, flags: ALL });
      const until = 3 + round;
      while (acknowledged < until) acknowledged = Number(await child.line());
      await child.kill();
      for await (const line of child.lines()) acknowledged = Number(line);
    }
    const n = (await backend.get("k"))?.n as number;
    assert(n >= acknowledged && n <= acknowledged + 1, `${n} after ${acknowledged}`);
    // Seen from where only one store answers: the newest, or an error, and never an older one.
    for (const name of ["a", "b"]) {
      const { stdout } = await runDeno({
        code: script(
          parent,
          `
          const read = open("ab", "${name}").get("k");
          console.log(await read.then((entry) => entry?.n ?? "absent", (error) => error.code));
        `,
        ),
        flags: [`--allow-read=${parent}`],
      });
      assert([String(n), "absent", "backend_unavailable"].includes(stdout.trim()), stdout);
    }
  }
});

function open(parent: string, names: string): FallbackCredentialsBackend {
  return new FallbackCredentialsBackend({
    backends: [...names].map((name) =>
      new FileCredentialsBackend({ path: `${parent}/${name}.json` })
    ),
  });
}
