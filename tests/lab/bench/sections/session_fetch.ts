import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { benchEntry, CLIENT_ID, denoProgram, ISSUER, KEY } from "../bench_world.ts";
import { measureCalls } from "../measure_calls.ts";
import { spawnProcess } from "../../../support/deno_process.ts";
import { linesOf } from "../../../support/lines_of.ts";

/** Requests to a server on loopback, in a process of its own. */
export async function sessionFetch({ effort }: BenchOptions): Promise<BenchSection> {
  const how = { stdin: "piped", stderr: "inherit" } as const;
  const server = spawnProcess(denoProgram("echo_server.ts"), how);
  const lines = linesOf(server.stdout);
  const apiHost = (await lines.next()).value!;
  const credentialsBackend = new MemoryCredentialsBackend();
  credentialsBackend.put(KEY, benchEntry());
  const who = { issuer: ISSUER, clientId: CLIENT_ID };
  const session = await createSession({ ...who, credentialsBackend, apiHost });
  const authorization = `Bearer ${benchEntry().access_token}`;
  const url = `${apiHost}ping`;
  const base = "fetch() with the same header";
  let serial = 0;
  const measured = await measureCalls([
    {
      name: base,
      run: async () => await (await fetch(url, { headers: { authorization } })).text(),
    },
    {
      name: "fetch() with the same header, another path each time",
      run: async () =>
        await (await fetch(`${url}/${++serial}`, { headers: { authorization } })).text(),
    },
    { name: "session.fetch()", run: async () => await (await session.fetch("ping")).text() },
    {
      name: "session.fetch(), another path each time",
      run: async () => await (await session.fetch(`ping/${++serial}`)).text(),
    },
  ], { batches: Math.ceil(200 * effort), perBatch: 50 });
  await server.stdin.close();
  await lines.return(undefined);
  await server.status;
  const rows = toRows(measured, base, { "session.fetch()": 1.05 });
  return { title: "A request to loopback", unit: "µs", base, rows };
}
