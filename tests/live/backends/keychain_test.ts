// Against a real GNOME Keyring, each test in a desktop session of its own.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { KeychainCredentialsBackend } from "../../../backends/keychain.ts";
import { withEnv } from "../../support/own_env.ts";
import { permissionFlagsOf } from "../../support/permission_flags.ts";
import { startKeyringSession } from "../../support/servers/keyring_session.ts";
import { DENO } from "../../support/deno_process.ts";
import { entry, KEY, OTHER, small } from "../../support/entries.ts";
import { runInSession } from "../../backends/keychain/session.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("keyring");

/** Off by default since Deno 2.9; older ones have them on, and no flags for them. */
const SANITIZE = Deno.version.deno.startsWith("2.7.")
  ? []
  : ["--sanitize-ops", "--sanitize-resources"];

const LOOKUP = ["secret-tool", "lookup", "service", "validmind-auth", "username"];

live.test("the keychain passes the conformance suite, with the permissions it declares", async () => {
  await using session = await startKeyringSession();
  const { code, stdout, stderr } = await session.run([
    ...["env", "NO_COLOR=1", DENO, "test", "-A", ...SANITIZE],
    ...["--config", `${import.meta.dirname}/../../../deno.json`],
    `${import.meta.dirname}/../../backends/keychain/conformance.ts`,
  ]);
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /ok \| \d\d passed \| 0 failed \(/);
});

live.test("each permission that the keychain declares is needed, and its flag is told", async () => {
  await using session = await startKeyringSession();
  const declared = () => new KeychainCredentialsBackend().requiredPermissions();
  const needs = await withEnv({ HOME: session.env.HOME! }, declared);
  const code = `
    const put = async () => {
      const backend = new KeychainCredentialsBackend();
      await backend.withLock("k", () => backend.put("k", entry("kept")));
    };
    console.log(JSON.stringify(await outcome(put)));`;
  for (const dropped of needs) {
    const flags = permissionFlagsOf(needs.filter((need) => need !== dropped));
    const [flag] = permissionFlagsOf([dropped])[0]!.split("=");
    const told = await runInSession(session, code, { flags });
    assertMatch(String(told), new RegExp(`^permission_required .*${flag}`));
  }
});

live.test("an entry stands under its key where people and other programs look", async () => {
  await using session = await startKeyringSession();
  await runInSession(
    session,
    `
    const backend = new KeychainCredentialsBackend();
    await backend.put(${JSON.stringify(KEY)}, ${JSON.stringify(entry())});
    await backend.put(${JSON.stringify(OTHER)}, ${JSON.stringify(small("other"))});
    console.log("true");
  `,
  );
  const { stdout } = await session.run([...LOOKUP, KEY]);
  assertEquals(JSON.parse(stdout), entry());
});

live.test("entries survive a restart of the keyring, also for a process that had it open", async () => {
  await using session = await startKeyringSession();
  const result = runInSession(
    session,
    `
    const backend = new KeychainCredentialsBackend();
    await backend.put("k", entry("first"));
    Deno.writeTextFileSync(Deno.env.get("HOME") + "/stored", "");
    while (true) {
      try {
        Deno.statSync(Deno.env.get("HOME") + "/restarted");
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    const before = await backend.get("k");
    await backend.put("k", entry("second"));
    console.log(JSON.stringify([before, await backend.get("k")]));
  `,
  );
  await waitForFile(`${session.env.HOME}/stored`);
  await session.restart();
  await Deno.writeTextFile(`${session.env.HOME}/restarted`, "");
  assertEquals(await result, [small("first"), small("second")]);
});

live.test("a locked keyring is an error of its own for every call, and unlocked nothing is lost", async () => {
  await using session = await startKeyringSession();
  const backend = `const backend = new KeychainCredentialsBackend();`;
  await runInSession(session, `${backend} await backend.put("k", entry("kept")); console.log(1)`);
  await session.lock();
  const outcomes = await runInSession(
    session,
    `${backend}
    console.log(JSON.stringify([
      await outcome(() => backend.get("k")),
      await outcome(() => backend.put("k", entry("new"))),
      await outcome(() => backend.put("other", entry("new"))),
      await outcome(() => backend.delete("k")),
      await outcome(() => Array.fromAsync(backend.list())),
      await outcome(() => backend.deleteAll()),
    ]));
  `,
  ) as string[];
  for (const outcome of outcomes) {
    assertMatch(
      outcome,
      /^keychain_locked Cannot \w+ credentials in "validmind-auth" in the Secret/,
    );
    assertStringIncludes(outcome, "gnome-keyring-daemon --unlock");
  }
  await session.restart();
  const kept = `${backend} console.log(JSON.stringify(await backend.get("k")))`;
  assertEquals(await runInSession(session, kept), small("kept"));
});

for (const state of ["absent", "no-bus"] as const) {
  live.test(`without ${state === "absent" ? "a Secret Service" : "a D-Bus"} nothing takes its place`, async () => {
    await using session = await startKeyringSession({ state });
    const outcomes = await runInSession(
      session,
      `
      const backend = new KeychainCredentialsBackend();
      const calls = [
        () => backend.put("k", entry("lost")),
        () => backend.get("k"),
        () => backend.delete("k"),
        () => Array.fromAsync(backend.list()),
      ];
      const outcomes = [];
      for (const call of calls) outcomes.push(await outcome(call));
      console.log(JSON.stringify(outcomes));
    `,
    ) as string[];
    for (const outcome of outcomes) {
      assertMatch(outcome, /^backend_unavailable Cannot .*: there is no such service/);
      assertStringIncludes(outcome, "dbus-run-session");
    }
  });
}

live.test("a keyring that hangs is given up in time, and serves again when it goes on", async () => {
  await using session = await startKeyringSession();
  const script = `
    const backend = new KeychainCredentialsBackend({ timeoutMs: 300 });
    const start = performance.now();
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 10);
    const outcomes = [
      await outcome(() => backend.get("k")),
      await outcome(() => backend.put("k", entry("late"))),
    ];
    clearInterval(ticking);
    const ms = performance.now() - start;
    console.log(JSON.stringify({ outcomes, ms, ticks }));
    Deno.exit();
  `;
  await session.signal("STOP");
  const { outcomes, ms, ticks } = await runInSession(session, script) as {
    outcomes: string[];
    ms: number;
    ticks: number;
  };
  for (const outcome of outcomes) {
    assertMatch(outcome, /^backend_timeout Cannot .* no answer within 300 ms/);
  }
  assert(ms < 2000, `${ms} ms`);
  assert(ticks > 20, `the event loop stood still: ${ticks}`);
  await session.signal("CONT");
  const { outcomes: after } = await runInSession(session, script) as { outcomes: string[] };
  assertEquals(after, ["ok", "ok"]);
});

async function waitForFile(path: string): Promise<void> {
  while (!await Deno.stat(path).then(() => true, () => false)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
