import { assertEquals } from "@std/assert";
import { formatPermissionSet } from "../../client/format_permission_set.ts";
import { findDenoDir } from "../support/run_script.ts";
import { tempDir } from "../support/temp_home.ts";
import { assertBackendCode } from "./fixtures.ts";

type Descriptors = Deno.PermissionDescriptor[];

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
    write: ["/my data"],
    net: ["a.example.com:443", "[::1]:8080"],
    sys: true,
  });
  assertEquals(text.split("\n").length > 5, true); // to be read, and pasted
});

Deno.test("formatPermissionSet: what is no descriptor is refused", async () => {
  for (const descriptor of [null, "read", {}, { name: "all" }, { name: "read", path: 5 }]) {
    const run = () => Promise.try(() => formatPermissionSet([descriptor] as Descriptors));
    await assertBackendCode(run, "invalid_permissions", "Declare");
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
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "-P=validmind",
      "main.ts",
      JSON.stringify([...granted, ...others]),
    ],
    cwd: dir.path,
    env: { DENO_DIR: await findDenoDir() },
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout).trim(),
    [...granted.map(() => "granted"), ...others.map(() => "denied")].join(),
  );
});
