import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { AS_PROCESS, cliWorld, ENDED } from "../cli_world.ts";

const WAYS: [name: string, args: string[], env: Record<string, string>][] = [
  ["--debug", ["--debug"], {}],
  ["VM_AUTH_DEBUG", [], { VM_AUTH_DEBUG: "1" }],
];

for (const [name, args, env] of WAYS) {
  Deno.test(`debug: ${name} shows each step with its time on standard error, without secrets`, async () => {
    await using world = await cliWorld();
    const before = await world.signIn();
    await world.amend({ expires_at: ENDED });
    const run = { flags: AS_PROCESS, env };
    const { code, stdout, stderr } = await world.run(["token", ...args], run);
    const { access_token, refresh_token } = world.stored();
    assertEquals([code, stdout], [0, `${access_token}\n`]);
    const lines = stderr.trimEnd().split("\n");
    for (const line of lines) assertMatch(line, /^\d{4}-\d\d-\d\dT\S+Z validmind-auth \w+/);
    for (
      const words of ["refresh_started", "provider_answered endpoint=token status=200", "stored"]
    ) {
      assertStringIncludes(stderr, `validmind-auth ${words}`);
    }
    assertMatch(lines.at(-1)!, / signed_in expiresAt=/);
    assertNoSecret(stderr, [access_token, refresh_token!, before.refresh_token!]);
  });
}

Deno.test("debug: a stored token that serves is told, too, and nothing without the flag", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const told = await world.run(["token", "--debug"], { flags: AS_PROCESS });
  assertMatch(told.stderr, /^\S+ validmind-auth signed_in expiresAt=\S+\n$/);
  assertEquals((await world.run(["token"], { flags: AS_PROCESS })).stderr, "");
});

Deno.test("debug: the error of a store's own author is shown with its place, and by its words alone without the flag", async () => {
  await using world = await cliWorld();
  const path = `${world.home}/store.ts`;
  const ended = JSON.stringify({ access_token: "a", refresh_token: "r", expires_at: ENDED });
  const code = `export class Own {
    get() { throw new Error("is locked"); }
    put() {}
    delete() {}
  }
  export class Unlocked extends Own {
    get() { return ${ended}; }
    withLock() { throw new RangeError("no lock row"); }
  }`;
  await Deno.writeTextFile(path, code);
  const args = ["token", "--backend", `${path}:Own`];
  const plain = await world.run(args, { flags: AS_PROCESS });
  assertMatch(plain.stderr, /See the cause.*\ncaused by Error: is locked\n$/);
  const told = await world.run([...args, "--debug"], { flags: AS_PROCESS });
  assertMatch(
    told.stderr,
    /\ncaused by Error: is locked\n +at Own\.get \(file:.*store\.ts:2:\d+\)\n/,
  );
  assertEquals([plain.code, told.code], [1, 1]);
  const late = await world.run(["token", "--backend", `${path}:Unlocked`], {
    flags: AS_PROCESS,
    env: { VM_AUTH_DEBUG: "1" },
  });
  const event = / refresh_failed code=backend_unavailable .*Cannot lock credentials in Unlocked/;
  assertMatch(late.stderr, event);
  assertMatch(
    late.stderr,
    /no lock row\n +at Unlocked\.withLock \(file:.*store\.ts:8:\d+\)\n}/,
  );
});
