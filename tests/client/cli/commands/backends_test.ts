import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BUILT_IN_NAMES } from "../../../../backends/load/backend_setting.ts";
import { cliWorld } from "../cli_world.ts";

const STORE = "data:text/javascript,export class TeamStore{get(){}put(){}delete(){}}";

for (
  const [name, why, args, env] of [
    ["file", "it is the default", [], {}],
    ["memory", "VM_OIDC_NO_PERSIST is set", [], { VM_OIDC_NO_PERSIST: "yes" }],
    ["kv", "VM_OIDC_CREDENTIALS_BACKEND is set", [], { VM_OIDC_CREDENTIALS_BACKEND: "kv" }],
    ["kv", "--backend names it", ["--backend", "kv"], { VM_OIDC_NO_PERSIST: "1" }],
    [
      "TeamStore",
      "VM_OIDC_CREDENTIALS_BACKEND is set",
      [],
      { VM_OIDC_CREDENTIALS_BACKEND: `${STORE}:TeamStore` },
    ],
  ] as const
) {
  Deno.test(`backends: ${name}, since ${why}`, async () => {
    await using world = await cliWorld();
    const json = await world.run(["backends", "--json", ...args], { env });
    assertEquals([json.code, json.stderr], [0, ""]);
    const { selected, known } = JSON.parse(json.stdout);
    assertEquals([selected.name, selected.why], [name, why]);
    assertEquals(known.map((one: { name: string }) => one.name), [...BUILT_IN_NAMES]);
    for (const { summary } of known) assert(summary !== "", "a backend without a summary");
    const { stdout } = await world.run(["backends", ...args], { env });
    assertMatch(stdout, new RegExp(`^\\* +${name} `, "m"));
    assertStringIncludes(stdout, `Used is ${name}, since ${why}: `);
    assertEquals([...Deno.readDirSync(world.home)], [], "a store was opened");
  });
}

Deno.test("backends: a name that the environment has wrong is exit code 2", async () => {
  await using world = await cliWorld();
  const env = { VM_OIDC_CREDENTIALS_BACKEND: "fil" };
  const { code, stderr } = await world.run(["backends"], { env });
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'Cannot use VM_OIDC_CREDENTIALS_BACKEND="fil"');
});
