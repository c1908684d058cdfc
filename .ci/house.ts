// deno-lint-ignore-file no-console -- it tells what it found
/**
 * Looks after the machine that runs the tests: `deno run -A .ci/house.ts`, on Linux.
 *
 * - `run COMMAND…` runs a command, and fails where it leaves a process behind, which it ends and names.
 * - `list` prints what is in `/dev`, in the folders for temporary files and in the home.
 * - `compare FILE` fails by what is new since such a list, or gone, but for {@linkcode CACHES}. A name in
 *   `/tmp` that no test gives is told, and is no failure: other programs work there, too.
 */

/** What programs keep for their next start, in the temporary folder and in the home. */
const CACHES = [
  /\/(?:hsperfdata_\w+|node-compile-cache|vertx-cache)$/, // Java, Node, Keycloak
  /\/\.(?:cache|npm|cargo|rustup|pyenv)(?:\/|$)/,
  /\/\.config\/go(?:\/|$)/,
];
/** Where all programs of a machine have their files, and the names of those that the tests start. */
const SHARED = /^\/(?:var\/)?tmp\//;
const OURS = /validmind|odd pl|tomcat|deno|chrom|jupyter|vault|keycloak|gpg|isolate/i;
/** Where terminals come and go. */
const CHANGING = /^\/dev\/(?:pts|ptmx)(?:\/|$)/;
const SET_CHILD_SUBREAPER = 36;
/** The time that programs have to end by themselves, in milliseconds. */
const GRACE_MS = 5_000;

/** Makes this process the parent of all orphans below it. */
function adoptOrphans(): void {
  using libc = open();
  libc.symbols.prctl(SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n);
  function open() {
    const parameters = ["i32", "u64", "u64", "u64", "u64"] as const;
    const library = Deno.dlopen("libc.so.6", { prctl: { parameters, result: "i32" } });
    return { symbols: library.symbols, [Symbol.dispose]: () => library.close() };
  }
}

/** The command lines of the children of this process, by their ids. */
function children(): Map<number, string> {
  const found = new Map<number, string>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The name in parentheses may have any character.
      const [state, parent] = Deno.readTextFileSync(`/proc/${name}/stat`)
        .replace(/^.*\) /s, "").split(" ");
      if (Number(parent) !== Deno.pid || state === "Z") continue;
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim();
      found.set(Number(name), line);
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

async function run([program, ...args]: string[]): Promise<number> {
  const isWatched = Deno.build.os === "linux";
  if (isWatched) adoptOrphans();
  const { code } = await new Deno.Command(program!, { args, stdin: "null" }).spawn().status;
  const end = performance.now() + GRACE_MS;
  while (isWatched && children().size > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const left = isWatched ? children() : new Map<number, string>();
  for (const [pid, line] of left) {
    console.error(`Left behind: process ${pid}: ${line.slice(0, 300)}`);
    Deno.kill(pid, "SIGKILL");
  }
  return code === 0 && left.size > 0 ? 1 : code;
}

/** The paths below a folder, as deep as is told, without what changes by itself. */
function pathsIn(folder: string, depth: number): string[] {
  if (depth === 0) return [];
  try {
    return Array.from(Deno.readDirSync(folder)).flatMap(({ name, isDirectory }) => {
      const path = `${folder}/${name}`;
      if (CHANGING.test(path) || CACHES.some((one) => one.test(path))) return [];
      return [path, ...isDirectory ? pathsIn(path, depth - 1) : []];
    });
  } catch {
    return []; // of another user, or gone meanwhile
  }
}

function list(): string[] {
  const temporary = new Set(["/tmp", "/var/tmp", Deno.env.get("TMPDIR") ?? "/tmp"]);
  return [
    ...pathsIn("/dev", 3),
    ...Array.from(temporary).flatMap((folder) => pathsIn(folder, 1)),
    ...pathsIn(Deno.env.get("HOME")!, 2),
  ].sort();
}

function compare(file: string): number {
  const before = new Set(Deno.readTextFileSync(file).split("\n").filter(Boolean));
  if (before.size === 0) throw new Error(`Cannot compare: ${file} is empty.`);
  const after = new Set(list());
  const changes = [
    ...[...after.difference(before)].map((path) => `Left behind: ${path}`),
    ...[...before.difference(after)].map((path) => `Taken away: ${path}`),
  ];
  const isOthers = (change: string) => {
    const path = change.replace(/^.*?: /, "");
    return SHARED.test(path) && !OURS.test(path);
  };
  const [others, ours] = [changes.filter(isOthers), changes.filter((one) => !isOthers(one))];
  for (const change of ours) console.log(change);
  for (const change of others) console.log(`Perhaps by another program: ${change}`);
  return ours.length > 0 ? 1 : 0;
}

const [action, ...rest] = Deno.args;
if (action === "run") Deno.exitCode = await run(rest);
else if (action === "list") console.log(list().join("\n"));
else if (action === "compare") Deno.exitCode = compare(rest[0]!);
else throw new Error("Usage: run COMMAND…|list|compare FILE");
