import { assertEquals } from "@std/assert";
import { Rules } from "../../../../client/cli/jupyter/rules.ts";
import type { Policy } from "../../../../client/cli/jupyter/policy.ts";
import { tempDir } from "../../../support/temp_home.ts";

function isAllowed(policy: Policy, access: string, guarded: string[] = []): boolean {
  const [permission = "", value] = access.split(" ");
  const rules = new Rules([{ by: "test", policy }], guarded);
  return rules.decide({ permission, value: value ?? null }).isAllowed;
}

const CASES: [Policy, allowed: string[], denied: string[]][] = [
  [{}, [], ["read /etc/passwd", "run", "run id", "env HOME", "net a.example:443", "new thing"]],
  [{ run: true }, ["run", "run id"], ["ffi /lib/x.so", "read /etc/passwd"]],
  [{ env: ["HOME", "AWS_*"] }, ["env HOME", "env AWS_REGION"], [
    "env HOMES",
    "env",
    "env JPY_API_TOKEN",
  ]],
  [
    { net: ["data.example.com:443", "any.example.com", "*.team.example", "[::1]:80"] },
    [
      "net data.example.com:443",
      "net DATA.example.com.:443",
      "net any.example.com:8080",
      "net [::1]:80",
    ],
    [
      "net data.example.com:80",
      "net data.example.com",
      "net xdata.example.com:443",
      "net team.example:443",
    ],
  ],
  [{ net: ["*.team.example"] }, ["net a.b.team.example:1"], ["net xteam.example:1", "net"]],
  [{ net: ["unix:/run/a.sock"] }, ["net unix:/run/a.sock"], ["net unix:/run/b.sock", "net a:1"]],
  [{ import: ["jsr.io:443"] }, ["import jsr.io:443"], ["import example.com:443", "net jsr.io:443"]],
  [{ sys: ["uid"] }, ["sys uid"], ["sys hostname", "sys"]],
  [{ read: true }, ["read", "read /etc/passwd"], ["write /etc/passwd"]],
  [{ read: false, write: [] }, [], ["read /tmp/x", "write /tmp/x"]],
];

for (const [policy, allowed, denied] of CASES) {
  Deno.test(`rules: ${JSON.stringify(policy)}`, () => {
    assertEquals(allowed.filter((access) => !isAllowed(policy, access)), [], "denied");
    assertEquals(denied.filter((access) => isAllowed(policy, access)), [], "allowed");
  });
}

/** Narrow kernels are refused on Windows, whose paths and links these rules do not know. */
const ignore = Deno.build.os === "windows";

Deno.test(
  "rules: a path is that of its target, whatever links lead to it",
  { ignore },
  async () => {
    await using folder = await tempDir();
    const root = await Deno.realPath(folder.path);
    await Deno.mkdir(`${root}/data`);
    await Deno.mkdir(`${root}/secret`);
    await Deno.writeTextFile(`${root}/secret/key`, "");
    await Deno.symlink(`${root}/secret`, `${root}/data/out`);
    await Deno.symlink(`${root}/secret/new`, `${root}/data/dangling`);
    await Deno.symlink(`${root}/data/loop`, `${root}/data/loop`);
    await Deno.symlink(`${root}/data`, `${root}/alias`);
    const policy = { read: [`${root}/alias`], write: [`${root}/data`] };
    const names = ["", "/new", "/a/b/c", "/../data/x"];
    for (const place of names) {
      assertEquals(isAllowed(policy, `read ${root}/alias${place}`), true, place);
      assertEquals(isAllowed(policy, `write ${root}/alias${place}`), true, place);
    }
    for (
      const place of ["data/out", "data/out/key", "data/out/new", "data/dangling", "data/loop"]
    ) {
      assertEquals(isAllowed(policy, `read ${root}/${place}`), false, place);
      assertEquals(isAllowed(policy, `write ${root}/${place}`), false, place);
    }
    assertEquals(isAllowed(policy, `read ${root}/data-other`), false);
    assertEquals(isAllowed(policy, `read ${root}/data/../secret/key`), false);
  },
);

Deno.test(
  "rules: nobody can grant writing a file that decides, or a folder above it",
  { ignore },
  async () => {
    await using folder = await tempDir();
    const root = await Deno.realPath(folder.path);
    await Deno.mkdir(`${root}/rules`);
    await Deno.writeTextFile(`${root}/rules/policy.json`, "{}");
    await Deno.symlink(`${root}/rules`, `${root}/link`);
    for (const policy of [{ write: true }, { write: [root] }]) {
      const decides = (access: string) => isAllowed(policy, access, [`${root}/rules/policy.json`]);
      for (const place of ["rules/policy.json", "rules", "link/policy.json", "link", ""]) {
        assertEquals(decides(`write ${root}/${place}`), false, place);
      }
      assertEquals(decides(`write ${root}/rules/other`), true);
      assertEquals(
        decides(`write <TMP>`),
        policy.write === true || root.startsWith("/tmp") === false,
      );
    }
  },
);

Deno.test(
  "rules: a path through .. is each place that it may mean, and all have to be granted",
  { ignore },
  async () => {
    await using folder = await tempDir();
    const root = await Deno.realPath(folder.path);
    await Deno.mkdir(`${root}/data/inner`, { recursive: true });
    await Deno.mkdir(`${root}/far/away`, { recursive: true });
    await Deno.writeTextFile(`${root}/secret`, "");
    await Deno.writeTextFile(`${root}/data/file`, "");
    await Deno.symlink(`${root}/far/away`, `${root}/data/link`);
    const policy = { read: [`${root}/data`] };
    const can = (path: string) => isAllowed(policy, `read ${root}/data/${path}`);
    assertEquals(can("inner/../file"), true);
    // Deno takes out "missing/..", and opens the secret.
    assertEquals([can("missing/../../secret"), can("missing/../file")], [false, false]);
    assertEquals([can("link/../file"), can("../secret"), can("inner/../../secret")], [
      false,
      false,
      false,
    ]);
    const everything = { write: true };
    for (const path of [`${root}/missing/../secret`, `${root}/data/missing/../../secret`]) {
      assertEquals(isAllowed(everything, `write ${path}`, [`${root}/secret`]), false, path);
    }
  },
);

Deno.test(
  "rules: a relative path is meant from each working directory that the kernel has had",
  { ignore },
  async () => {
    await using folder = await tempDir();
    const root = await Deno.realPath(folder.path);
    await Deno.mkdir(`${root}/read/deep`, { recursive: true });
    await Deno.mkdir(`${root}/out`);
    const policy = { read: [root], write: [`${root}/out`, Deno.cwd()] };
    const make = () => new Rules([{ by: "test", policy }]);
    const write = { permission: "write", value: "planted" };
    const known = make();
    assertEquals(known.decide(write, Deno.cwd()).isAllowed, true);
    assertEquals(known.decide(write, `${root}/out`).isAllowed, true);
    assertEquals(known.decide(write, `${root}/read`).isAllowed, false);
    assertEquals(known.decide(write, Deno.cwd()).isAllowed, false, "asked before, opened after");
    assertEquals(known.decide({ permission: "write", value: `${root}/out/x` }).isAllowed, true);
    // A change of folder is asked for as a read of it.
    const unknown = make();
    assertEquals(unknown.decide(write).isAllowed, true);
    assertEquals(unknown.decide({ permission: "read", value: `${root}/read` }).isAllowed, true);
    assertEquals(unknown.decide(write).isAllowed, false);
  },
);
