import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { formatPermissionFlags, formatPermissionSet } from "../../client/format_permissions.ts";
import { DENO, runDeno, runProcess } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import { rejectsWith } from "../support/rejects_with.ts";

type Descriptors = Deno.PermissionDescriptor[];

const isWindows = Deno.build.os === "windows";

const FLAGS: [descriptors: unknown[], flags: string][] = [
  [[], ""],
  // Kinds in a fixed order, in whichever way they come.
  [
    [{ name: "env", variable: "A" }, { name: "net", host: "a.example" }, {
      name: "write",
      path: "/d",
    }],
    "--allow-write=/d --allow-net=a.example --allow-env=A",
  ],
  // Values of a kind together, each once, and none that a wider one covers.
  [[{ name: "net", host: "a.example:443" }, { name: "net", host: "b.example" }, {
    name: "net",
    host: "a.example:443",
  }], "--allow-net=a.example:443,b.example"],
  [
    [{ name: "read", path: "/d/x" }, { name: "read", path: "/d" }, { name: "read", path: "/dx" }],
    "--allow-read=/d,/dx",
  ],
  [[{ name: "net" }, { name: "sys" }], "--allow-net --allow-sys"],
  [[{ name: "read", path: "/d" }, { name: "read", path: undefined }], "--allow-read"],
  [
    [{ name: "ffi", path: "/lib/x.so" }, { name: "run", command: "git" }],
    "--allow-run=git --allow-ffi=/lib/x.so",
  ],
  [
    [{ name: "sys", kind: "hostname" }, { name: "import", host: "jsr.io:443" }],
    "--allow-sys=hostname --allow-import=jsr.io:443",
  ],
  [[{ name: "env", variable: "A", need: "always", reason: "x" }], "--allow-env=A"],
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
  for (const [descriptors, flags] of FLAGS) {
    assertEquals(formatPermissionFlags(descriptors as Descriptors), flags);
    assertEquals(formatPermissionFlags(new Set(descriptors as Descriptors)), flags);
  }
  if (isWindows) return;
  for (const [path, flags] of POSIX) {
    assertEquals(formatPermissionFlags([{ name: "read", path }]), flags);
  }
  const ipv6 = formatPermissionFlags([{ name: "net", host: "[::1]:8080" }]);
  assertEquals(ipv6, "'--allow-net=[::1]:8080'");
});

const NO_DESCRIPTORS: unknown[] = [
  undefined,
  null,
  "read",
  ["read"],
  {},
  { name: "hrtime" },
  { name: "all" },
  { name: "toString" },
  { name: "read", path: 5 },
  { name: "read", path: null },
  { name: "read", path: "" },
  { name: "net", host: {} },
  { name: "net", host: "::::" },
  { name: "env", variable: false },
];

Deno.test("formatPermission…: what is no descriptor is refused, and a comma in a flag", async () => {
  for (const descriptor of NO_DESCRIPTORS) {
    const list = [descriptor] as Descriptors;
    for (const format of [formatPermissionFlags, formatPermissionSet]) {
      const run = () => Promise.try(() => format(list));
      await rejectsWith("invalid_permissions", run, "the list", "Declare");
    }
  }
  const commas: Descriptors = [
    { name: "read", path: "/a,b" },
    { name: "net", host: "a.example.com,b.example.com" },
    { name: "env", variable: "A,B" },
  ];
  for (const one of commas) {
    const run = () => Promise.try(() => formatPermissionFlags([one]));
    const words = [`--allow-${one.name}`, "comma", "permission set"];
    await rejectsWith("invalid_permissions", run, ...words);
  }
});

Deno.test("formatPermissionSet: grouped, each once, true where it is not narrowed", () => {
  assertEquals(JSON.parse(formatPermissionSet([])), { permissions: { validmind: {} } });
  const named = formatPermissionSet([{ name: "env", variable: "HOME" }], 'my "set"');
  assertEquals(JSON.parse(named), { permissions: { 'my "set"': { env: ["HOME"] } } });
  const text = formatPermissionSet([
    { name: "net", host: "a.example.com:443" },
    { name: "read", path: "/a,b" },
    { name: "net", host: "a.example.com:443" },
    { name: "net", host: "[::1]:8080" },
    { name: "sys" },
    { name: "sys", kind: "hostname" },
    { name: "write", path: new URL("file:///my%20data") },
  ]);
  assertEquals(JSON.parse(text).permissions.validmind, {
    read: ["/a,b"],
    write: [fromFileUrl("file:///my%20data")],
    net: ["a.example.com:443", "[::1]:8080"],
    sys: true,
  });
  assert(text.split("\n").length > 5); // to be read, and pasted
});

/** Tells the states of descriptors; without a terminal an open one is denied. */
const TELL = `console.log(JSON.parse(Deno.args[0])
  .map((one) => Deno.permissions.querySync(one).state).join().replaceAll("prompt", "denied"));`;

function granted(path: string, odd: string): { given: Descriptors; others: Descriptors } {
  return {
    given: [
      { name: "read", path: `${path}/my data` },
      { name: "read", path: `${path}/${odd}` },
      { name: "write", path: `${path}/größe` },
      { name: "net", host: "[::1]:8080" },
      { name: "net", host: "127.0.0.1:9999" },
      { name: "env", variable: "HOME" },
      { name: "sys", kind: "hostname" },
    ],
    others: [
      { name: "read", path: `${path}/my` },
      { name: "read", path },
      { name: "net", host: "[::1]:8081" },
      { name: "env", variable: "PATH" },
      { name: "sys", kind: "osRelease" },
    ],
  };
}

Deno.test({
  name: "formatPermission…: a shell and Deno understand what they write",
  ignore: isWindows,
  async fn() {
    await using dir = await tempDir();
    await Deno.writeTextFile(`${dir.path}/main.ts`, TELL);
    const byFlags = granted(dir.path, `it's $HOME "x" \`y\` \\z*`);
    const bySet = granted(dir.path, "a,b 'c'");
    const tell = ({ given, others }: typeof bySet) => JSON.stringify([...given, ...others]);
    const command = `"$0" run --quiet --no-config --no-prompt ${
      formatPermissionFlags(byFlags.given)
    } "$1" "$2"`;
    const shell = ["sh", "-c", command, DENO, `${dir.path}/main.ts`, tell(byFlags)];
    await Deno.writeTextFile(`${dir.path}/deno.json`, formatPermissionSet(bySet.given));
    const set = { file: "main.ts", config: false, flags: ["-P=validmind"], args: [tell(bySet)] };
    for (const run of [() => runProcess(shell), () => runDeno({ ...set, cwd: dir.path })]) {
      const { stdout, stderr } = await run();
      const { given, others } = bySet;
      const expected = [...given.map(() => "granted"), ...others.map(() => "denied")];
      assertEquals(stdout.trim().split(","), expected, stderr);
    }
  },
});
