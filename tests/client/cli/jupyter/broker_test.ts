import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type BrokerRequest, PermissionBroker } from "../../../../client/cli/jupyter/broker.ts";
import { DENO } from "../../../support/deno_process.ts";

const ignore = Deno.build.os === "windows";
const PID = 12345;

function question(change: Record<string, unknown> = {}): string {
  const request = { v: 1, pid: PID, id: 1, datetime: "2026-01-01T00:00:00Z", permission: "env" };
  return `${JSON.stringify({ ...request, value: "HOME", ...change })}\n`;
}

/** Allows the variable HOME and nothing else. */
function decide({ permission, value }: BrokerRequest) {
  return {
    isAllowed: `${permission} ${value}` === "env HOME",
    rule: "test",
    reason: "by the test",
  };
}

async function send(connection: Deno.Conn, text: string): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(await connection.write(bytes));
}

/** The answer; `undefined` where the broker has ended the connection. */
async function answer(connection: Deno.Conn): Promise<unknown> {
  const bytes = new Uint8Array(4096);
  const length = await connection.read(bytes).catch(() => null);
  return length === null
    ? undefined
    : JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)));
}

const connect = ({ path }: PermissionBroker) => Deno.connect({ transport: "unix", path });

Deno.test({
  name: "broker: answers each question of its one client, and no second client",
  ignore,
  fn: async () => {
    using broker = new PermissionBroker();
    const folder = broker.path.slice(0, broker.path.lastIndexOf("/"));
    assertEquals(Deno.statSync(folder).mode! & 0o777, 0o700);
    const served = broker.serve(PID, decide);
    {
      using client = await connect(broker);
      await send(client, question());
      assertEquals(await answer(client), { id: 1, result: "allow" });
      // The socket is gone with its folder: nobody else can connect.
      await assertRejects(() => connect(broker), Deno.errors.NotFound);
      const [first, rest] = [
        question({ id: 2, value: "X" }).slice(0, 20),
        question({ id: 2, value: "X" }).slice(20),
      ];
      await send(client, first);
      await send(client, rest);
      assertEquals(await answer(client), { id: 2, result: "deny", reason: "by the test" });
      await send(client, question({ id: 3, value: null }));
      assertEquals((await answer(client) as { result: string }).result, "deny");
    }
    assertEquals(await served, true);
  },
});

Deno.test({
  name: "broker: a client that waits in the queue gets no answer",
  ignore,
  fn: async () => {
    using broker = new PermissionBroker();
    const [one, other] = [await connect(broker), await connect(broker)];
    const served = broker.serve(PID, decide);
    await send(one, question());
    assertEquals(await answer(one), { id: 1, result: "allow" });
    await send(other, question()).catch(() => undefined);
    assertEquals(await answer(other), undefined);
    one.close();
    other.close();
    assertEquals(await served, true);
  },
});

const HOSTILE: Record<string, string> = {
  "no JSON": "allow me\n",
  "no object": "[1]\n",
  "another version": question({ v: 2 }),
  "the number of another question": question({ id: 2 }),
  "the process of somebody else": question({ pid: PID + 1 }),
  "a permission that is no text": question({ permission: ["env"] }),
  "a value that is no text": question({ value: { toString: "HOME" } }),
  "an empty line": "\n",
  "an endless line": "x".repeat(300 * 1024),
  "an endless value": question({ value: "x".repeat(300 * 1024) }).trimEnd(),
};

for (const [what, text] of Object.entries(HOSTILE)) {
  Deno.test({
    name: `broker: ${what} ends the connection, and allows nothing`,
    ignore,
    fn: async () => {
      using broker = new PermissionBroker();
      const asked: BrokerRequest[] = [];
      const served = broker.serve(PID, (request) => {
        asked.push(request);
        return decide(request);
      });
      using client = await connect(broker);
      await send(client, text).catch(() => undefined);
      assertEquals(await served, false);
      assertEquals(await answer(client), undefined);
      assertEquals(asked, []);
    },
  });
}

/** A real process, which asks once for each line of standard input. */
const PROGRAM = `
  for await (const chunk of Deno.stdin.readable) {
    const name = new TextDecoder().decode(chunk).trim();
    try { Deno.env.get(name); console.log("allowed " + name); }
    catch (error) { console.log(error.name + ": " + error.message); }
  }
`;

Deno.test({
  name: "broker: Deno obeys it whatever its flags say, shows the reason, and ends when it is gone",
  ignore,
  fn: async () => {
    using broker = new PermissionBroker();
    const code = `data:text/javascript,${encodeURIComponent(PROGRAM)}`;
    const child = new Deno.Command(DENO, {
      args: ["run", "-A", "--quiet", code],
      env: { DENO_PERMISSION_BROKER_PATH: broker.path },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(child.stderr).text();
    const served = broker.serve(child.pid, decide);
    const writer = child.stdin.getWriter();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const ask = async (name: string) => {
      await writer.write(new TextEncoder().encode(`${name}\n`));
      return (await lines.read()).value?.trim();
    };
    assertEquals(await ask("HOME"), "allowed HOME");
    assertEquals(await ask("PATH"), "NotCapable: by the test");
    broker[Symbol.dispose](); // as when it is killed
    assertEquals(await served, true);
    assertEquals(await ask("HOME"), undefined);
    assertEquals((await child.status).code, 87);
    await writer.close().catch(() => undefined);
    await lines.cancel();
    assert(!(await errors).includes("allowed"), await errors);
    assertStringIncludes(await errors, "experimental");
  },
});
