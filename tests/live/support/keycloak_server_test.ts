import { assertEquals } from "@std/assert";
import { startDeno } from "../../support/deno_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("keycloak");

/** Starts a server, says where it is, and waits. */
const PROGRAM = `
  import { startKeycloak } from ${
  JSON.stringify(new URL("../../support/servers/keycloak_server.ts", import.meta.url))
};
  const { port, home } = await startKeycloak();
  console.log(JSON.stringify({ port, home }));
  await Deno.stdin.read(new Uint8Array(1));
`;

live.test("Keycloak listens on loopback alone, and ends with its test, however that ends", async () => {
  const env = { HOME: Deno.env.get("HOME")!, XDG_CACHE_HOME: Deno.env.get("XDG_CACHE_HOME") ?? "" };
  await using child = startDeno({ code: PROGRAM, flags: ["-A"], env });
  const { port, home } = JSON.parse(await child.line()) as { port: number; home: string };
  try {
    const hosts = (await listeners(home)).map((address) => address.split(":")[0]);
    assertEquals(new Set(hosts), new Set(["127.0.0.1"]));
    await child.kill();
    await untilNobodyListens(port);
    assertEquals(await processOf(home), undefined);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

async function untilNobodyListens(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("Java still runs");
}

/** The id of the Java that has this home. */
async function processOf(home: string): Promise<string | undefined> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (command.startsWith("java\0") && command.includes(`-Dkc.home.dir=${home}\0`)) return name;
  }
  return undefined;
}

/** The addresses and ports that it listens at. */
async function listeners(home: string): Promise<string[]> {
  const pid = (await processOf(home))!;
  const sockets = new Set<string>();
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    const [, inode] = /^socket:\[(\d+)\]$/.exec(target) ?? [];
    if (inode !== undefined) sockets.add(inode);
  }
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => Deno.readTextFile(`/proc/${pid}/net/${name}`).catch(() => "")),
  );
  return tables.join("\n").split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === "0A" && sockets.has(inode ?? ""))
    .map(([, local]) => addressOf(local!));
}

/** From the hexadecimal, byte-swapped form of the kernel. */
function addressOf(local: string): string {
  const [address, port] = local.split(":");
  const bytes = address!.match(/../g)!.map((byte) => parseInt(byte, 16)).reverse();
  return `${bytes.join(".")}:${parseInt(port!, 16)}`;
}
