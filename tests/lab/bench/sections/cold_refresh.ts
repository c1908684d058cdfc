import { FileCredentialsBackend } from "@validmind/auth";
import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { denoProgram } from "../bench_world.ts";
import { measureCommands, type TimedCommand } from "../measure_commands.ts";
import type { Peers } from "../peers.ts";
import { DENO } from "../../../support/deno_process.ts";
import { ProviderProcess } from "../../../support/provider_process.ts";

/** Whole processes that find an expired token, refresh it, and store what they got. */
export async function coldRefresh(
  { folder, effort }: BenchOptions,
  peers: Peers,
): Promise<BenchSection> {
  await using provider = await ProviderProcess.start();
  const base = "read, refresh by oauth4webapi, write with fsync";
  const { issuer, clientId } = provider;
  const refresher = async (
    name: string,
    program: string,
    start?: [string, ...string[]],
  ): Promise<TimedCommand> => {
    const home = `${folder}/${name.replace(/\W+/g, "-")}`;
    const path = `${home}/.validmind/credentials.json`;
    await provider.signIn(new FileCredentialsBackend({ path }));
    const command: TimedCommand["command"] = start === undefined
      ? denoProgram(program, issuer, clientId, path)
      : [...start, `${peers.folder}/${program}`, issuer, clientId, path];
    return { name, command, env: { HOME: home }, before: () => expire(path) };
  };
  const commands = [
    await refresher(base, "raw_refresh.ts"),
    await refresher("this module, file", "cached_start.ts"),
  ];
  if (peers.node !== undefined) {
    const onDeno: [string, ...string[]] = [DENO, "run", "-A"];
    commands.push(
      await refresher("msal-node on Deno", "msal_refresh.mjs", onDeno),
      await refresher("msal-node on Node", "msal_refresh.mjs", [peers.node]),
      // Its endpoints are in its code: it sends one request, and checks no ID token.
      await refresher("google-auth-library on Deno", "google_refresh.mjs", onDeno),
      await refresher("google-auth-library on Node", "google_refresh.mjs", [peers.node]),
    );
  }
  const measured = await measureCommands(commands, Math.ceil(30 * effort));
  const rows = toRows(measured, base, { "this module, file": 1.15 });
  return { title: "Refresh in a cold process", unit: "ms", base, rows };
}

/** Sets the end of all stored tokens back. */
async function expire(path: string): Promise<void> {
  const document = JSON.parse(await Deno.readTextFile(path));
  for (const entry of Object.values(document.credentials)) {
    (entry as Record<string, unknown>).expires_at = "2020-01-01T00:00:00Z";
  }
  await Deno.writeTextFile(path, `${JSON.stringify(document, null, 2)}\n`);
}
