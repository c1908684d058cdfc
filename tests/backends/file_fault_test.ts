/** Troubles of the system: never an absent entry, and what was stored is kept. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { quoteArgument } from "../../backends/common/runtime.ts";
import type { CredentialsBackendErrorCode } from "../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { backendUrl } from "../support/deno_process.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";
import { runDenied, runMounted, whyNoDenial, whyNoMount } from "../support/run_denied.ts";
import { isPosix, namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";

const { folder, root, permissions } = sandbox();
const test = Object.assign(testWith({ permissions }, "file: "), {
  readOnly: testWith({ permissions: { read: [root] } }, "file: "),
  onPosix: testWith({ permissions, ignore: !isPosix }, "file: "),
  onWindows: testWith({ ignore: isPosix }, "file: "),
});

function withCode(code: string, words = "of the system"): Error {
  return Object.assign(new Error(`${words} (os error 1): open 'x'`), { code });
}

const FAULTS: [error: unknown, code: CredentialsBackendErrorCode, reason: string][] = [
  [new Deno.errors.PermissionDenied("x"), "backend_denied", "the operating system denies it"],
  [withCode("ENOSPC"), "backend_full", "no space is left"],
  [new Error("Disk quota exceeded (os error 122)"), "backend_full", "no space is left"],
  [withCode("EROFS"), "backend_unavailable", "of the system"],
  [withCode("EMFILE", "Too many files"), "backend_unavailable", "Too many files"],
  [new Error("No locks available (os error 37)"), "backend_unavailable", "No locks available"],
  [new TypeError("odd"), "backend_unavailable", "TypeError"],
  [new Deno.errors.NotCapable("x"), "permission_required", "Deno does not permit it"],
];

for (const [cause, code, reason] of FAULTS) {
  test(`a trouble is ${code} by: ${reason}`, async () => {
    const path = `${folder()}/my data/credentials.json`;
    const backend = new FileCredentialsBackend({ path, lockTimeoutMs: 5_000 });
    for (const key of [KEY, OTHER]) await backend.put(key, entry());
    const fail = () => {
      throw cause;
    };
    for (
      const [name, action, run] of [
        ["lstatSync", "read", () => backend.get(KEY)],
        ["openSync", "read", () => backend.get("absent")],
        ["renameSync", "write", () => backend.put(KEY, entry({ x_new: 1 }))],
        ["renameSync", "write", () => backend.delete(KEY)],
      ] as const
    ) {
      using _ = replace(Deno, name, fail);
      const error = await rejectsWith(code, run, `Cannot ${action} ${path}: ${reason}. `);
      assertStrictEquals(error.cause, cause);
      const flags = ["read", "write"].map((name) =>
        quoteArgument(`--allow-${name}=${path.replace("/credentials.json", "")}`)
      );
      const isClosed = code === "backend_denied";
      const folderAndFile = `${quoteArgument(path.replace("/credentials.json", ""))} ${
        quoteArgument(path)
      }`;
      const opens = `chmod u+rwX ${folderAndFile}`;
      assertEquals(error.remedy.includes(opens), isClosed && isPosix, error.remedy);
      const isOurs = code === "permission_required";
      const isUnavailable = code === "backend_unavailable";
      assertEquals(error.remedy.includes("VM_OIDC_NO_PERSIST=1"), isUnavailable);
      assertEquals(error.message.endsWith(` Add: ${flags.join(" ")}`), isOurs);
    }
    assertEquals(backend.get(KEY), entry());
    assertEquals(namesIn(path.replace("/credentials.json", "")).length, 2); // no temp file
    // A removal goes on where the system refuses the lock, and not where Deno does.
    const { openSync } = Deno;
    using _ = replace(Deno, "openSync", (path, options) => {
      return String(path).endsWith(".lock") ? fail() : openSync(path, options);
    });
    if (code === "permission_required") await rejectsWith(code, () => backend.delete(KEY));
    else await backend.delete(KEY);
    assertEquals(backend.get(KEY) !== undefined, code === "permission_required");
  });
}

test.readOnly("with permission for reading alone the flags for a write are named", async () => {
  const backend = new FileCredentialsBackend({ path: `${root}/credentials.json` });
  assertEquals(backend.get("k"), undefined);
  const flags = ["read", "write"].map((name) => quoteArgument(`--allow-${name}=${root}`));
  const words = ["Cannot open the lock file", flags.join(" ")];
  const lock = () => backend.withLock("k", () => Promise.resolve());
  for (const run of [() => backend.put("k", entry()), lock]) {
    await rejectsWith("permission_required", run, ...words);
  }
});

test.onPosix("a file in the folder's place is an error", async () => {
  const parent = `${folder()}/file`;
  Deno.writeTextFileSync(parent, "");
  const backend = new FileCredentialsBackend({ path: `${parent}/credentials.json` });
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "Not a directory");
  await rejectsWith("backend_unavailable", () => backend.put(KEY, entry()), backend.path);
});

test.onWindows("on Windows a drive that is not there has nothing, and a write says so", async () => {
  const backend = new FileCredentialsBackend({ path: "Q:\\tokens\\c.json" });
  assertEquals(backend.get(KEY), undefined);
  await backend.delete(KEY);
  const words = "its folder is missing. Make the folder, or use another path.";
  await rejectsWith("backend_unavailable", () => backend.put(KEY, entry()), words);
});

type Run = (code: string) => Promise<unknown>;

/** A test of what only the system does. Its steps are run in order, and each outcome is compared. */
function systemTest(
  name: string,
  whyNot: string | undefined,
  run: (folder: string) => Run,
  steps: (folder: string) => [step: string, outcome: unknown][],
): void {
  testWith({ whyNot }, "file: ")(name, async () => {
    const parent = folder();
    const rows = steps(parent);
    const code = `
      import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
      const path = "${parent}/c.json";
      const backend = new FileCredentialsBackend({ path });
      const entry = ${JSON.stringify(entry())};
      const longer = { ...entry, x_fill: "f".repeat(7_000) };
      const large = { ...entry, x_fill: "f".repeat(200_000) };
      const locked = (fn = () => Promise.resolve()) => backend.withLock("${KEY}", fn);
      const fill = (name) => {
        try { Deno.writeFileSync("${parent}/" + name, new Uint8Array(100_000)); } catch { /* full */ }
      };
      const args = ["-o", "remount,ro", "none", "${parent}"]; // else it hands on a uid of outside
      const remount = () => new Deno.Command("mount", { args }).outputSync().success;
      const outcomes = [];
      for (const step of [${rows.map(([step]) => `() => ${step}`).join(",\n")}]) {
        try { outcomes.push(await step() ?? null); }
        catch (error) { outcomes.push(error.code + ": " + error.message); }
      }
      console.log(JSON.stringify(outcomes));
    `;
    const seen = await run(parent)(code) as unknown[];
    assertNoSecret(seen);
    const reason = (one: unknown) =>
      typeof one === "string" ? one.replace(/: Cannot .+?: ([^.]+)\. .*/s, ": $1") : one;
    assertEquals(seen.map(reason), rows.map(([, outcome]) => outcome));
  });
}

test.onPosix("a file that is mounted by itself is refused before a grant is spent for it", async () => {
  const backend = new FileCredentialsBackend({ path: `${folder()}/credentials.json` });
  await backend.put(KEY, entry());
  using _ = replace(Deno, "linkSync", () => {
    throw withCode("EXDEV");
  });
  const spend = () => Promise.reject(new Error("spent"));
  const run = () => backend.withLock(KEY, spend);
  await rejectsWith(
    "backend_unavailable",
    run,
    "it is mounted by itself, or another program holds it",
  );
});

const DENIED = "backend_denied: the operating system denies it";
const FULL = "backend_full: no space is left";
const READ_ONLY = "backend_unavailable: Read-only file system";

systemTest("what the system denies is an error, not absent", whyNoDenial, () => runDenied, (at) => {
  const all: [string, string][] = [
    `backend.get("${KEY}")`,
    `backend.put("${KEY}", entry)`,
    `backend.delete("${KEY}")`,
    "Array.fromAsync(backend.list())",
  ].map((step) => [step, DENIED]);
  return [
    [`locked(() => backend.put("${KEY}", entry))`, true],
    ["Deno.chmodSync(path, 0o000)", null],
    ...all,
    ["Deno.chmodSync(path, 0o600)", null],
    [`Deno.chmodSync("${at}", 0o000)`, null],
    ...all,
    [`Deno.chmodSync("${at}", 0o500)`, null],
    [`backend.get("${KEY}").client_id`, "my-app"],
    [`backend.put("${KEY}", entry)`, DENIED],
    ["locked()", DENIED],
    ["backend.deleteAll()", DENIED],
    [`backend.get("${KEY}").client_id`, "my-app"],
    [`Deno.chmodSync("${at}", 0o700)`, null],
  ];
});

const mounted = (folder: string): Run => (code) => runMounted(folder, code);

systemTest(
  "on a full disk the old is kept, and a lock keeps its space",
  whyNoMount,
  mounted,
  (at) => [
    [`backend.put("${KEY}", entry)`, true],
    [`backend.put("${OTHER}", large)`, FULL],
    [`backend.get("${KEY}").client_id`, "my-app"],
    [`backend.get("${OTHER}")`, null],
    [`Array.from(Deno.readDirSync("${at}"), (f) => f.name).sort()`, ["c.json", "c.json.lock"]],
    [`locked(() => (fill("filler"), backend.put("${KEY}", longer)))`, true],
    [`backend.get("${KEY}").x_fill.length`, 7000],
    [`fill("rest")`, null],
    ["locked()", FULL],
    // A sign-out needs no space, unless it would have to write the entries of others anew.
    [`backend.delete("${KEY}")`, null],
    [`backend.get("${KEY}")`, null],
    [`(Deno.removeSync("${at}/filler"), Deno.removeSync("${at}/rest"))`, null],
    [`backend.put("${KEY}", entry)`, true],
    [`backend.put("${OTHER}", longer)`, true],
    [`(fill("filler"), fill("rest"))`, null],
    [`backend.delete("${KEY}").catch((error) => /by hand/.test(error.remedy))`, true],
    [`backend.get("${KEY}").client_id`, "my-app"],
    [`backend.deleteAll()`, null],
    [`Array.from(Deno.readDirSync("${at}"), (f) => f.name).includes("c.json")`, false],
  ],
);

systemTest(
  "on a full disk a sign-out through a link leaves a file without tokens, and the link",
  whyNoMount,
  mounted,
  (at) => [
    [`Deno.writeTextFileSync("${at}/real.json", "{}", { mode: 0o600 })`, null],
    [`Deno.symlinkSync("${at}/real.json", path)`, null],
    ...["delete", "deleteAll"].flatMap((name): [string, unknown][] => [
      [`backend.put("${KEY}", longer)`, true],
      [`(fill("filler"), fill("rest"))`, null],
      [`backend.${name}("${KEY}")`, null],
      [`Deno.lstatSync(path).isSymlink && backend.get("${KEY}")`, null],
      [`Deno.readTextFileSync(path).includes("token")`, false],
      [`(Deno.removeSync("${at}/filler"), Deno.removeSync("${at}/rest"))`, null],
    ]),
  ],
);

systemTest(
  "a file system that turns read-only can be read, and not under a lock",
  whyNoMount,
  mounted,
  (at) => [
    [`backend.put("${KEY}", entry)`, true],
    ["locked(() => Promise.resolve(remount()))", false],
    ["remount()", true],
    [`backend.get("${KEY}").client_id`, "my-app"],
    [`backend.put("${KEY}", entry)`, READ_ONLY],
    ["locked()", READ_ONLY],
    [`backend.delete("${KEY}")`, READ_ONLY],
    ["backend.deleteAll()", READ_ONLY],
    [`new FileCredentialsBackend({ path: "${at}/new/c.json" }).put("k", entry)`, READ_ONLY],
  ],
);
