import { fromFileUrl } from "@std/path";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { formatPermissionFlags, formatPermissionSet } from "../../client/format_permissions.ts";
import { DENO, runDeno, runProcess } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import { rejectsWith } from "../support/rejects_with.ts";

type Descriptors = Deno.PermissionDescriptor[];

const isWindows = Deno.build.os === "windows";

const ROWS: [what: string, descriptors: Descriptors, flags: string][] = [
  ["nothing", [], ""],
  ["one", [{ name: "env", variable: "HOME" }], "--allow-env=HOME"],
  ["kinds in a fixed order, in which way ever they come", [
    { name: "env", variable: "HOME" },
    { name: "net", host: "a.example.com:443" },
    { name: "write", path: "/data" },
    { name: "read", path: "/data" },
  ], "--allow-read=/data --allow-write=/data --allow-net=a.example.com:443 --allow-env=HOME"],
  ["values of a kind together, each once", [
    { name: "net", host: "a.example.com:443" },
    { name: "read", path: "/x" },
    { name: "net", host: "b.example.com" },
    { name: "net", host: "a.example.com:443" },
  ], "--allow-read=/x --allow-net=a.example.com:443,b.example.com"],
  ["without narrowing", [{ name: "net" }, { name: "sys" }], "--allow-net --allow-sys"],
  ["without narrowing, which swallows the narrow ones", [
    { name: "read", path: "/data" },
    { name: "read" },
  ], "--allow-read"],
  ["an explicit undefined", [{ name: "read", path: undefined }], "--allow-read"],
  ["the other kinds", [
    { name: "ffi", path: "/lib/x.so" },
    { name: "run", command: "git" },
    { name: "sys", kind: "hostname" },
    { name: "import", host: "jsr.io:443" } as Deno.PermissionDescriptor,
  ], "--allow-sys=hostname --allow-run=git --allow-ffi=/lib/x.so --allow-import=jsr.io:443"],
  ["more than a descriptor needs", [
    { name: "env", variable: "A", need: "always", reason: "x" } as Deno.PermissionDescriptor,
  ], "--allow-env=A"],
];

for (const [what, descriptors, flags] of ROWS) {
  Deno.test(`formatPermissionFlags: ${what}`, () => {
    assertEquals(formatPermissionFlags(descriptors), flags);
    assertEquals(formatPermissionFlags(new Set(descriptors)), flags);
  });
}

const POSIX: [what: string, descriptor: Deno.PermissionDescriptor, flags: string][] = [
  ["a space", { name: "read", path: "/my data" }, "'--allow-read=/my data'"],
  ["a quote", { name: "read", path: "/it's" }, `'--allow-read=/it'\\''s'`],
  ["a double quote", { name: "read", path: '/a"b' }, `'--allow-read=/a"b'`],
  ["what a shell expands", { name: "read", path: "/$HOME/*~`x`" }, "'--allow-read=/$HOME/*~`x`'"],
  ["a backslash", { name: "read", path: "/a\\b" }, "'--allow-read=/a\\b'"],
  ["an IPv6 address", { name: "net", host: "[::1]:8080" }, "'--allow-net=[::1]:8080'"],
  ["letters of all the world", { name: "read", path: "/größe/日本" }, "'--allow-read=/größe/日本'"],
  ["a line break", { name: "read", path: "/a\nb" }, "'--allow-read=/a\nb'"],
  ["a URL", { name: "read", path: new URL("file:///my%20data/x") }, "'--allow-read=/my data/x'"],
  ["a plain URL", { name: "write", path: new URL("file:///data/x") }, "--allow-write=/data/x"],
];

for (const [what, descriptor, flags] of POSIX) {
  Deno.test({
    name: `formatPermissionFlags: ${what}`,
    ignore: isWindows,
    fn: () => assertEquals(formatPermissionFlags([descriptor]), flags),
  });
}

Deno.test("formatPermissionFlags: a comma cannot be written", async () => {
  for (
    const descriptor of [
      { name: "read", path: "/a,b" },
      { name: "net", host: "a.example.com,b.example.com" },
      { name: "env", variable: "A,B" },
    ] as Descriptors
  ) {
    const run = () => Promise.try(() => formatPermissionFlags([descriptor]));
    const words = [`--allow-${descriptor.name}`, "comma", "permission set"];
    await rejectsWith("invalid_permissions", run, ...words);
  }
});

const NO_DESCRIPTORS: unknown[] = [
  undefined,
  null,
  "read",
  ["read"],
  {},
  { name: "hrtime" },
  { name: "toString" },
  { name: "read", path: 5 },
  { name: "read", path: null },
  { name: "read", path: "" },
  { name: "net", host: {} },
  { name: "env", variable: false },
];

for (const descriptor of NO_DESCRIPTORS) {
  Deno.test(`formatPermissionFlags refuses ${Deno.inspect(descriptor)}`, async () => {
    const run = () => Promise.try(() => formatPermissionFlags([descriptor] as Descriptors));
    await rejectsWith("invalid_permissions", run, "the list", "Declare");
  });
}

Deno.test({
  name: "formatPermissionFlags: a shell and Deno understand what it writes",
  ignore: isWindows,
  async fn() {
    await using dir = await tempDir();
    const descriptors: Descriptors = [
      { name: "read", path: `${dir.path}/my data` },
      { name: "read", path: `${dir.path}/it's $HOME "x" \`y\` \\z*` },
      { name: "write", path: new URL(`file://${dir.path}/gr%C3%B6%C3%9Fe`) },
      { name: "net", host: "[::1]:8080" },
      { name: "net", host: "127.0.0.1:9999" },
      { name: "env", variable: "HOME" },
      { name: "sys", kind: "hostname" },
    ];
    const asked = descriptors.map((one) =>
      "path" in one && one.path instanceof URL ? { ...one, path: `${dir.path}/größe` } : one
    );
    const others: Descriptors = [
      { name: "read", path: `${dir.path}/my` },
      { name: "read", path: dir.path },
      { name: "net", host: "[::1]:8081" },
      { name: "env", variable: "PATH" },
      { name: "sys", kind: "osRelease" },
    ];
    const code = `
      const states = JSON.parse(${JSON.stringify(JSON.stringify([...asked, ...others]))})
        .map((one) => Deno.permissions.querySync(one).state);
      console.log(states.join());
    `;
    const file = `${dir.path}/main.ts`;
    await Deno.writeTextFile(file, code);
    const command = `"$0" run --quiet --no-config --no-prompt ${
      formatPermissionFlags(descriptors)
    } "$1"`;
    const { stdout, stderr } = await runProcess(["sh", "-c", command, DENO, file]);
    assertStringIncludes(stdout || stderr, "granted");
    const expected = [...asked.map(() => "granted"), ...others.map(() => "denied")];
    // Without a terminal what is not granted is denied, or still to be asked for.
    assertEquals(stdout.trim().replaceAll("prompt", "denied").split(","), expected);
  },
});

Deno.test("formatPermissionSet: nothing, and the set's name", () => {
  assertEquals(JSON.parse(formatPermissionSet([])), { permissions: { validmind: {} } });
  const text = formatPermissionSet([{ name: "env", variable: "HOME" }], 'my "set"');
  assertEquals(JSON.parse(text), { permissions: { 'my "set"': { env: ["HOME"] } } });
});

Deno.test("formatPermissionSet: grouped, each once, true where it is not narrowed", () => {
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
  assertEquals(text.split("\n").length > 5, true); // to be read, and pasted
});

Deno.test("formatPermissionSet: what is no descriptor is refused", async () => {
  for (const descriptor of [null, "read", {}, { name: "all" }, { name: "read", path: 5 }]) {
    const run = () => Promise.try(() => formatPermissionSet([descriptor] as Descriptors));
    await rejectsWith("invalid_permissions", run, "Declare");
  }
});

Deno.test("formatPermissionSet: Deno grants what it says, also with a comma in it", async () => {
  await using dir = await tempDir();
  const granted: Descriptors = [
    { name: "read", path: `${dir.path}/a,b 'c'` },
    { name: "write", path: `${dir.path}/größe` },
    { name: "net", host: "127.0.0.1:9999" },
    { name: "env", variable: "HOME" },
  ];
  const others: Descriptors = [
    { name: "read", path: `${dir.path}/a` },
    { name: "net", host: "127.0.0.1:9998" },
    { name: "env", variable: "PATH" },
  ];
  await Deno.writeTextFile(`${dir.path}/deno.json`, formatPermissionSet(granted));
  const code = `
    const states = JSON.parse(Deno.args[0]).map((one) => Deno.permissions.querySync(one).state);
    console.log(states.join().replaceAll("prompt", "denied"));
  `;
  await Deno.writeTextFile(`${dir.path}/main.ts`, code);
  const { stdout } = await runDeno({
    file: "main.ts",
    config: false,
    flags: ["-P=validmind"],
    args: [JSON.stringify([...granted, ...others])],
    cwd: dir.path,
  });
  assertEquals(
    stdout.trim(),
    [...granted.map(() => "granted"), ...others.map(() => "denied")].join(),
  );
});
