// client-go runs the command line for its token, as kubectl does.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { ALL, denoCommand, type ProcessResult, runProcess } from "../../../support/deno_process.ts";
import { makeLocalCa } from "../../../support/local_ca.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { serverBinary } from "../../../support/servers/servers.ts";
import { CLI, type CliWorld, cliWorld, ENDED } from "../../../client/cli/cli_world.ts";

const PAGE = await Deno.readTextFile(
  new URL("../../../../client/command_line.md", import.meta.url),
);

interface ApiServer extends AsyncDisposable {
  /** The tokens that it was asked with. */
  readonly bearers: (string | undefined)[];
  /** Asks it by client-go. */
  ask(): Promise<ProcessResult>;
}

/** A stand-in for an API server, which accepts the token that is stored and that has not ended. */
async function startApiServer({ home, env, ...world }: CliWorld): Promise<ApiServer> {
  const authority = await makeLocalCa();
  const ca = `${home}/ca.pem`;
  await Deno.writeTextFile(ca, authority.cert);
  const bearers: (string | undefined)[] = [];
  const { cert, key } = await authority.issue(["localhost"]);
  const listener = { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} };
  const server = Deno.serve(listener, (request) => {
    const bearer = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    bearers.push(bearer);
    const { access_token, expires_at } = world.stored();
    const isGood = bearer === access_token && Date.parse(expires_at!) > Date.now();
    return isGood
      ? Response.json({ gitVersion: "v1.37.2" })
      : new Response("Unauthorized", { status: 401 });
  });
  const args = /args: \[(token, .+)\]/.exec(PAGE)![1]!.split(", ");
  const command = denoCommand({ file: CLI, flags: ALL, args });
  const url = `https://localhost:${server.addr.port}`;
  const client = [await serverBinary("client-go-exec"), url, ca];
  return {
    bearers,
    ask: () => runProcess([...client, ...command], { env, cwd: home }),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const live = await liveTests("client-go-exec");

live.test("client-go asks with the stored token, and with a new one once that has ended", async () => {
  await using world = await cliWorld();
  await using api = await startApiServer(world);
  const { access_token: first } = await world.signIn();
  const accepted = { code: 0, stdout: '200 {"gitVersion":"v1.37.2"}', stderr: "" };
  assertEquals(await api.ask(), accepted);
  assertEquals(world.provider.requests, []);

  await world.amend({ expires_at: ENDED });
  assertEquals(await api.ask(), accepted);
  const { access_token: second } = world.stored();
  assertNotEquals(second, first);
  assertEquals(api.bearers, [first, second]);
  assert(await world.provider.isActive(second));
});
