import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import {
  formatPermissionFlags,
  formatPermissionSet,
  SCOPES,
} from "../../client/format_permissions.ts";
import { DENO, runDeno, runProcess } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import { rejectsWith } from "../support/rejects_with.ts";

type Descriptors = Deno.PermissionDescriptor[];

const isWindows = Deno.build.os === "windows";

/** Descriptors, one a line: their kind, and what narrows them. */
function descriptors(text: string): Descriptors {
  return text.split("\n").filter(Boolean).map((line) => {
    const [name, scope] = line.trim().split(/=(.*)/s);
    const member = scope === undefined ? {} : { [SCOPES[name as keyof typeof SCOPES]]: scope };
    return { name, ...member } as Deno.PermissionDescriptor;
  });
}

const FLAGS: [descriptors: string, flags: string][] = [
  ["", ""],
  // Kinds in a fixed order, in whichever way they come.
  ["env=A\nnet=a.b\nwrite=/d", "--allow-write=/d --allow-net=a.b --allow-env=A"],
  // Values of a kind together, each once, and none that a wider one covers.
  ["net=a.b:443\nnet=c.d\nnet=a.b:443", "--allow-net=a.b:443,c.d"],
  ["read=/d/x\nread=/d\nread=/dx", "--allow-read=/d,/dx"],
  ["net\nsys", "--allow-net --allow-sys"],
  ["read=/d\nread", "--allow-read"],
  ["ffi=/lib/x.so\nrun=git", "--allow-run=git --allow-ffi=/lib/x.so"],
  ["sys=hostname\nimport=jsr.io:443", "--allow-sys=hostname --allow-import=jsr.io:443"],
];

/** Paths in a shell of POSIX. */
const POSIX: [path: string | URL, flags: string][] = [
  ["/my data", "'--allow-read=/my data'"],
  ["/it's", `'--allow-read=/it'\\''s'`],
  ['/a"b', `'--allow-read=/a"b'`],
  ["/$HOME/*~`x`", "'--allow-read=/$HOME/*~`x`'"],
  ["/a\\b", "'--allow-read=/a\\b'"],
  ["/größe/日本", "'--allow-read=/größe/日本'"],
  ["/a\nb", "'--allow-read=/a\nb'"],
  [new URL("file:///my%20data/x"), "'--allow-read=/my data/x'"],
  [new URL("file:///data/x"), "--allow-read=/data/x"],
];

Deno.test("formatPermissionFlags: the fewest flags that grant all, quoted for the shell", () => {
  for (const [text, flags] of FLAGS) {
    assertEquals(formatPermissionFlags(new Set(descriptors(text))), flags);
  }
  const need = { name: "env", variable: "A", need: "always", reason: "x" } as const;
  assertEquals(formatPermissionFlags([need]), "--allow-env=A");
  if (isWindows) return;
  for (const [path, flags] of POSIX) {
    assertEquals(formatPermissionFlags([{ name: "read", path }]), flags);
  }
  const ipv6 = formatPermissionFlags(descriptors("net=[::1]:8080"));
  assertEquals(ipv6, "'--allow-net=[::1]:8080'");
});

const NO_DESCRIPTORS: unknown[] = [
  ...[undefined, null, "read", ["read"], {}],
  ...["hrtime", "all", "toString"].map((name) => ({ name })),
  ...[5, null, ""].map((path) => ({ name: "read", path })),
  ...[{}, "::::"].map((host) => ({ name: "net", host })),
  { name: "env", variable: false },
];

Deno.test("formatPermission…: what is no descriptor is refused, and a comma in a flag", async () => {
  for (const descriptor of NO_DESCRIPTORS) {
    for (const format of [formatPermissionFlags, formatPermissionSet]) {
      const run = () => Promise.try(() => format([descriptor] as Descriptors));
      await rejectsWith("invalid_permissions", run, "the list", "Declare");
    }
  }
  for (const one of descriptors("read=/a,b\nnet=a.example.com,b.example.com\nenv=A,B")) {
    const run = () => Promise.try(() => formatPermissionFlags([one]));
    const words = [`--allow-${one.name}`, "comma", "permission set"];
    await rejectsWith("invalid_permissions", run, ...words);
  }
});

Deno.test("formatPermissionSet: grouped, each once, true where it is not narrowed", () => {
  assertEquals(JSON.parse(formatPermissionSet([])), { permissions: { validmind: {} } });
  const named = formatPermissionSet(descriptors("env=HOME"), 'my "set"');
  assertEquals(JSON.parse(named), { permissions: { 'my "set"': { env: ["HOME"] } } });
  const text = formatPermissionSet([
    ...descriptors("net=a.example.com:443\nread=/a,b\nnet=a.example.com:443\nnet=[::1]:8080"),
    ...descriptors("sys\nsys=hostname"),
    { name: "write", path: new URL("file:///my%20data") },
  ]);
  assertEquals(JSON.parse(text).permissions.validmind, {
    read: ["/a,b"],
    write: [fromFileUrl("file:///my%20data")],
    net: ["a.example.com:443", "[::1]:8080"],
    sys: true,
  });
});

/** Tells the states of descriptors; without a terminal an open one is denied. */
const TELL = `console.log(JSON.parse(Deno.args[0])
  .map((one) => Deno.permissions.querySync(one).state).join().replaceAll("prompt", "denied"));`;

Deno.test({
  name: "formatPermission…: a shell and Deno understand what they write",
  ignore: isWindows,
  async fn() {
    await using dir = await tempDir();
    const { path } = dir;
    await Deno.writeTextFile(`${path}/main.ts`, TELL);
    const given = (odd: string) =>
      descriptors(`read=${path}/my data\nread=${path}/${odd}\nwrite=${path}/größe
        net=[::1]:8080\nnet=127.0.0.1:9999\nenv=HOME\nsys=hostname`);
    const others = descriptors(`read=${path}/my\nread=${path}\nnet=[::1]:8081\nenv=PATH`);
    const [byFlags, bySet] = [given(`it's $HOME "x" \`y\` \\z*`), given("a,b 'c'")];
    const flags = formatPermissionFlags(byFlags);
    const command = `"$0" run --quiet --no-config --no-prompt ${flags} "$1" "$2"`;
    const tell = (descriptors: Descriptors) => JSON.stringify([...descriptors, ...others]);
    const shell = ["sh", "-c", command, DENO, `${path}/main.ts`, tell(byFlags)];
    await Deno.writeTextFile(`${path}/deno.json`, formatPermissionSet(bySet));
    const set = { file: "main.ts", config: false, flags: ["-P=validmind"], args: [tell(bySet)] };
    for (const run of [() => runProcess(shell), () => runDeno({ ...set, cwd: path })]) {
      const { stdout, stderr } = await run();
      const expected = [...bySet.map(() => "granted"), ...others.map(() => "denied")];
      assertEquals(stdout.trim().split(","), expected, stderr);
    }
  },
});
