import { FileCredentialsBackend } from "@validmind/auth";
import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { denoProgram } from "../bench_world.ts";
import { measureCommands, type TimedCommand } from "../measure_commands.ts";
import { OPENID_CLIENT } from "../peers.ts";
import { ProviderProcess } from "../../support/provider_process.ts";

/** Whole processes that find an expired token, refresh it, and store what they got. */
export async function coldRefresh({ folder, effort }: BenchOptions): Promise<BenchSection> {
  await using provider = await ProviderProcess.start();
  const base = "read, refresh by oauth4webapi, write with fsync";
  const refresher = async (name: string, program: string): Promise<TimedCommand> => {
    const home = `${folder}/${program}`;
    const path = `${home}/.validmind/credentials.json`;
    await provider.signIn(new FileCredentialsBackend({ path }));
    const { issuer, clientId } = provider;
    const command = denoProgram(program, issuer, clientId, path, OPENID_CLIENT);
    return { name, command, env: { HOME: home }, before: () => expire(path) };
  };
  const commands = [
    await refresher(base, "raw_refresh.ts"),
    await refresher("this module, file", "cached_start.ts"),
    await refresher("read, refresh by openid-client, write with fsync", "openid_client_refresh.ts"),
  ];
  const measured = await measureCommands(commands, Math.ceil(30 * effort));
  const rows = toRows(measured, base, { "this module, file": 1.15 });
  return { title: "Refresh in a cold process", unit: "ms", base, rows };
}

/** Sets the end of all stored tokens back. */
export async function expire(path: string): Promise<void> {
  const document = JSON.parse(await Deno.readTextFile(path));
  for (const entry of Object.values(document.credentials)) {
    (entry as Record<string, unknown>).expires_at = "2020-01-01T00:00:00Z";
  }
  // With the line break that this module writes: without it, a write is watched for the Python library.
  await Deno.writeTextFile(path, `${JSON.stringify(document, null, 2)}\n`);
}
