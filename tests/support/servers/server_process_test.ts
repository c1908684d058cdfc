import { assertEquals, assertRejects } from "@std/assert";
import { runDeno } from "../deno_process.ts";
import { startServerProcess } from "./server_process.ts";

const SERVER = { readyOn: "stdout", ready: /^ready (\d+)$/ } as const;
const MODULE = new URL("./server_process.ts", import.meta.url).href;
const shell = (script: string) => ["sh", "-c", `echo ready $$; ${script}`];

/** What the keeper of a server does is seen in /proc. */
function linuxTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

function isRunning(pid: string): boolean {
  try {
    // A process that ended and that nobody waited for is no longer running.
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

linuxTest("a server runs until it is ended", async () => {
  const server = await startServerProcess({ ...SERVER, command: shell("exec sleep 600") });
  const [pid] = server.lines as [string];
  assertEquals(isRunning(pid), true);
  await server.end("TERM");
  assertEquals(isRunning(pid), false);
  await server.end("KILL");
});

linuxTest("a stopped server ends too", async () => {
  const server = await startServerProcess({ ...SERVER, command: shell("exec sleep 600") });
  await server.signal("STOP");
  await server.end("TERM");
  assertEquals(isRunning(server.lines[0]!), false);
});

linuxTest("a server that stands still at its end is killed", async () => {
  // Python does so when a thread of its own does not end.
  const command = shell("trap '' TERM; exec sleep 600");
  const server = await startServerProcess({ ...SERVER, command });
  await server.end("TERM", { graceMs: 50 });
  assertEquals(isRunning(server.lines[0]!), false);
});

linuxTest("a server that ends before it is ready is an error with its words", async () => {
  await assertRejects(
    () => startServerProcess({ ...SERVER, command: ["echo", "port taken"] }),
    Error,
    "port taken",
  );
});

for (
  const [name, ending] of [["ends", "Deno.exit(0)"], [
    "is killed",
    `Deno.kill(Deno.pid, "SIGKILL")`,
  ]]
) {
  linuxTest(`no server outlives a process that ${name}`, async () => {
    const { stdout } = await runDeno({
      code: `import { startServerProcess } from ${JSON.stringify(MODULE)};
        const options = { command: ["sh", "-c", "echo ready $$; exec sleep 600"] };
        const { lines } = await startServerProcess(
          { ...options, readyOn: "stdout", ready: /^ready (\\d+)$/ },
        );
        console.log(lines[0]);
        ${ending};`,
      flags: ["-A"],
    });
    const pid = stdout.trim();
    const deadline = Date.now() + 5000;
    while (isRunning(pid) && Date.now() < deadline) await new Promise((go) => setTimeout(go, 5));
    assertEquals(isRunning(pid), false);
  });
}
