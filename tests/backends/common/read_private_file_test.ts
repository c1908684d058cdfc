/** One reader for every file that other users of the host may have touched: rules by attacks. */
import process from "node:process";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readPrivateFile, whileHeld } from "../../../backends/common/read_private_file.ts";
import { backendUrl, mustRun } from "../../support/deno_process.ts";
import { replace } from "../../support/replace.ts";
import {
  ORDINARY_UID as USER,
  runAsOrdinary,
  whyNoOrdinaryUser,
} from "../../support/run_denied.ts";
import { isPosix, makePipe, sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";

const ATTACKER = 12345;
const isRoot = Deno.uid() === 0;
const { folder, root } = sandbox();
const test = Object.assign(testWith({ whyNot: whyNoOrdinaryUser }, "private files: "), {
  onPosix: testWith({ ignore: !isPosix }, "private files: "),
});

/** The rules of the readers, by the files that they read. */
const RULES = {
  "client key": {},
  "assertion or Vault file": { forbiddenMode: 0o027 },
  "settings or certificate": { forbiddenMode: 0o022 },
  "credentials file": { forbiddenMode: 0 },
};
const ANOTHER = `it belongs to another user (uid ${ATTACKER})`;
const BY_OTHERS = "others may write it (mode 0666)";
/** A file of the superuser that everybody may read. */
const SUPERUSERS = "/etc/passwd";
const readBy = (mode: string) => `others may read it (mode ${mode})`;

/** Gives a file or a link away, which takes the superuser. */
async function give(path: string, uid: number): Promise<void> {
  if (uid !== Deno.uid()) await mustRun(["chown", "-h", `${uid}:${uid}`, path]);
}

async function write(path: string, uid: number, mode: number): Promise<void> {
  Deno.writeTextFileSync(path, "text");
  Deno.chmodSync(path, mode);
  await give(path, uid);
}

async function link(target: string, path: string, uid: number): Promise<void> {
  Deno.symlinkSync(target, path);
  await give(path, uid);
}

async function linkToFile(path: string, uid: number): Promise<void> {
  await write(`${path}.target`, USER, 0o600);
  await link(`${path}.target`, path, uid);
}

/** In a folder of its own. */
async function writeInFolder(path: string, uid: number, folderMode: number, folderUid = uid) {
  const parent = path.replace("/inner", "");
  Deno.mkdirSync(parent);
  await write(path, uid, 0o644);
  Deno.chmodSync(parent, folderMode);
  await give(parent, folderUid);
}

/** Makes a script one of a user to whom none of these files belongs. */
const AS_STRANGER = `Object.assign(Deno, { uid: () => ${USER + 1} });`;

type Make = (path: string) => void | Promise<void>;
type Row = [name: string, make: Make, seen: string | string[]];
const own = (mode: number): Make => (path) => write(path, USER, mode);

/** What each reader says of a file, in the order of the rules: `read`, or the beginning of the reason. */
const ROWS: Row[] = [
  ["own, 0600", own(0o600), "read"],
  ["own, 0640", own(0o640), [readBy("0640"), "read", "read", "read"]],
  ["own, 0644", own(0o644), [readBy("0644"), readBy("0644"), "read", "read"]],
  ["own, 0666", own(0o666), [BY_OTHERS, BY_OTHERS, BY_OTHERS, "read"]],
  ["own, 0644, in a closed folder/inner", (path) => writeInFolder(path, USER, 0o700), [
    readBy("0644"),
    readBy("0644"),
    "read",
    "read",
  ]],
  [
    "a pipe",
    async (path) => {
      await makePipe(path);
      Deno.chmodSync(path, 0o666);
    },
    "it is a named pipe",
  ],
  [
    "a link to a pipe",
    async (path) => {
      await makePipe(`${path}.pipe`);
      await link(`${path}.pipe`, path, USER);
    },
    "it is a named pipe, a socket or a device",
  ],
  ["a folder", (path) => Deno.mkdirSync(path), "it is a folder. Give the path of"],
  ["a link of its own", (path) => linkToFile(path, USER), "read"],
  [
    "a gigabyte",
    async (path) => {
      await write(path, USER, 0o600);
      Deno.truncateSync(path, 1024 ** 3);
    },
    "it has 1073741824 bytes, more than a test",
  ],
];

/** What only the superuser can prepare. */
const ROWS_OF_OTHERS: Row[] = [
  ["of the superuser, 0644", (path) => write(path, 0, 0o644), "read"],
  ["of the superuser, 0666", (path) => write(path, 0, 0o666), BY_OTHERS],
  ["of another, 0644", (path) => write(path, ATTACKER, 0o644), ANOTHER],
  ["of another, 0666", (path) => write(path, ATTACKER, 0o666), ANOTHER],
  ["of another in their folder/inner", (path) => writeInFolder(path, ATTACKER, 0o755), ANOTHER],
  [
    "of another in an own closed folder/inner",
    (path) => writeInFolder(path, ATTACKER, 0o700, USER),
    ANOTHER,
  ],
  ["a link of the superuser", (path) => linkToFile(path, 0), "read"],
  ["a link of another", (path) => linkToFile(path, ATTACKER), ANOTHER],
];

/** A script that reads the files as another user, and prints what was said of each. */
function script(calls: { path: string; rules: object; before?: string }[]): string {
  const each = calls.map(({ path, rules, before = "" }) => `
    try {
      ${before}
      seen.push(readPrivateFile("${path}", { ...COMMON, ...${JSON.stringify(rules)} }) && "read");
    } catch (error) {
      seen.push(error.message);
    }`);
  return `
    import { readPrivateFile, whileHeld } from "${backendUrl("common/read_private_file.ts")}";
    const fail = (reason, advice) => new Error(reason + ". " + advice);
    const COMMON = { what: "a test", maxBytes: 1000, fail };
    const seen = [];
    ${each.join("\n")}
    console.log(JSON.stringify(seen));
  `;
}

for (const flags of [["-A"], ["--allow-read", "--allow-write"]]) {
  test(`every kind of file by every rule, under ${flags}`, async () => {
    const parent = folder();
    Deno.chmodSync(root, 0o755);
    Deno.chmodSync(parent, 0o777);
    const rules = Object.values(RULES);
    const rows = isRoot ? [...ROWS, ...ROWS_OF_OTHERS] : ROWS;
    const calls = [];
    for (const [index, [name, make]] of rows.entries()) {
      const path = `${parent}/file${index}${name.endsWith("/inner") ? "/inner" : ""}`;
      await make(path);
      calls.push(...rules.map((rules) => ({ path, rules })));
    }
    const said = await runAsOrdinary(script(calls), flags) as string[];
    for (const [name, , seen] of rows) {
      // Without a grant to learn the user's id, a closed file or folder has to tell it.
      const isUnknown = flags[0] !== "-A" && /^own, 06[^0]\d$/.test(name);
      const told = isUnknown ? `it belongs to another user (uid ${USER}), unless` : seen;
      for (const [index, kind] of Object.keys(RULES).entries()) {
        const expected = typeof told === "string" ? told : told[index]!;
        const text = said.shift()!;
        assert(text.startsWith(expected), `${name}, ${kind}: ${text}`);
      }
    }
  });
}

test("one that becomes a pipe at its opening does not block", async () => {
  const parent = folder();
  Deno.chmodSync(root, 0o755);
  Deno.chmodSync(parent, 0o777);
  const path = `${parent}/file`;
  await write(path, USER, 0o600);
  await makePipe(`${path}.pipe`);
  Deno.chmodSync(`${path}.pipe`, 0o444);
  const before = `
    for (const api of [Deno, process.getBuiltinModule("node:fs")]) {
      const open = api.openSync;
      api.openSync = (...args) => {
        try { Deno.renameSync("${path}.pipe", "${path}"); } catch { /* done */ }
        return open(...args);
      };
    }`;
  // In the folder of its owner the pipe is there already, and the look has met a file.
  const theirs = `${parent}/theirs/inner`;
  await writeInFolder(theirs, USER, 0o755);
  await makePipe(`${theirs}.pipe`);
  const swap = `
    const { openSync } = Deno;
    Deno.openSync = (path) => openSync(path + ".pipe");
    process.getBuiltinModule("node:fs").openSync = ((open) => (path, flags) =>
      open("${theirs}.pipe", flags))(process.getBuiltinModule("node:fs").openSync);`;
  const calls = [{ path, rules: {}, before }, { path: theirs, rules: {}, before: swap }];
  const [seen, other] = await runAsOrdinary(AS_STRANGER + script(calls)) as string[];
  assertMatch(seen!, /^it is a named pipe/);
  assertMatch(other!, /^another program keeps changing it/);
});

test.onPosix("a file behind a link that goes, or is closed, at the opening has its own reason", async () => {
  const path = `${folder()}/file`;
  await write(path, Deno.uid()!, 0o600);
  Deno.symlinkSync(path, `${path}.link`);
  const read = () =>
    readPrivateFile(`${path}.link`, { what: "a key", fail: (reason) => new Error(reason) });
  assertEquals(read(), "text");
  const reasons = { ENOENT: "not there", EACCES: "system denies", EIO: "cannot be read (EIO)" };
  for (const [code, reason] of Object.entries(reasons)) {
    const openSync = () => {
      throw Object.assign(new Error("no"), { code });
    };
    using _ = replace(process.getBuiltinModule("node:fs"), "openSync", openSync);
    assertThrows(read, Error, reason);
  }
});

test("files of another user, and links of theirs, are refused where only their id tells", async () => {
  const parent = folder();
  Deno.chmodSync(root, 0o755);
  Deno.chmodSync(parent, 0o755);
  await write(`${parent}/open`, USER, 0o644);
  await link(SUPERUSERS, `${parent}/link`, USER);
  const paths = [`${parent}/open`, `${parent}/link`, SUPERUSERS];
  const rules = { forbiddenMode: 0, maxBytes: 1e6 };
  const said = await runAsOrdinary(
    AS_STRANGER + script(paths.map((path) => ({ path, rules }))),
  ) as string[];
  const another =
    `it belongs to another user (uid ${USER}). Use one of your own, another path, or run it as that user.`;
  assertEquals(said, [another, another, "read"]);
});

test("the superuser reads a file of their own that others may read, as a container mounts its secrets", async () => {
  const rules = Object.values(RULES).map((rules) => ({ ...rules, maxBytes: 1e6 }));
  const calls = rules.map((rules) => ({ path: SUPERUSERS, rules }));
  const said = await runAsOrdinary(`Deno.uid = () => 0;${script(calls)}`) as string[];
  assertEquals(said, calls.map(() => "read"));
});

const fail = (reason: string, advice: string) => new Error(`${reason}. ${advice}`);

/** Reads a file whose content is changed by `meanwhile` before each read of a part. */
function readWhile(path: string, meanwhile: (file: Deno.FsFile) => void): string {
  const { openSync } = Deno;
  using _ = replace(Deno, "openSync", (...args) => {
    const file = openSync(...args);
    const readSync = file.readSync.bind(file);
    file.readSync = (bytes) => {
      meanwhile(file);
      return readSync(bytes.subarray(0, 1));
    };
    return file;
  });
  try {
    return readPrivateFile(path, { what: "a test", maxBytes: 1000, fail });
  } catch (error) {
    return (error as Error).message;
  }
}

test.onPosix("a text that is written meanwhile is read again", () => {
  const path = `${folder()}/file`;
  Deno.writeTextFileSync(path, "half", { mode: 0o600 });
  let writes = 0;
  const whole = readWhile(path, () => {
    if (writes++ === 2) Deno.writeTextFileSync(path, "half, whole");
  });
  assertEquals(whole, "half, whole");
  let time = 0;
  const changing = readWhile(path, () => Deno.utimeSync(path, ++time, time));
  assertMatch(changing, /^another program keeps changing it/);
  assert(time <= 300, `${time} looks in 20 tries`);
  assertEquals(readWhile(`${path}.none`, () => {}), "it is not there. Check the path.");
  Deno.writeFileSync(path, new Uint8Array([0xff, 0xfe]));
  assertMatch(readWhile(path, () => {}), /^it is not UTF-8 text/);
});

Deno.test("private files: on Windows a program that has the file open is waited for, up to 40 tries", () => {
  const busy = Object.assign(new Error("in use"), { code: "EBUSY" });
  const attempts = (onWindows: boolean, fault: Error, faults: number) => {
    let tries = 0;
    const access = () => {
      if (++tries <= faults) throw fault;
    };
    try {
      whileHeld(access, onWindows);
      return tries;
    } catch (error) {
      return error === fault ? -tries : NaN;
    }
  };
  assertEquals([attempts(true, busy, 2), attempts(true, busy, 99)], [3, -40]);
  assertEquals(attempts(true, new Deno.errors.PermissionDenied("held"), 2), 3);
  assertEquals(attempts(true, new Deno.errors.NotFound("gone"), 1), -1);
  assertEquals(attempts(false, busy, 1), -1);
});

test.onPosix("one that is closed to its own user names the way to open it", async () => {
  const path = `${folder()}/closed`;
  await write(path, Deno.uid()!, 0o000);
  const open = () => {
    throw new Deno.errors.PermissionDenied("closed");
  };
  const read = () => readPrivateFile(path, { what: "a test", maxBytes: 100, fail });
  let told = "";
  {
    using _ = replace(Deno, "openSync", open);
    told = assertThrows(read, Error).message;
  }
  const [command] = /chmod .*/.exec(told)!;
  await mustRun(["sh", "-c", command]);
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  read();
});
