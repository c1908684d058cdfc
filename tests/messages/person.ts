import { copy } from "@std/fs";
import { dirname, fromFileUrl, join } from "@std/path";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { credentialKey } from "../../client/entry.ts";
import { createSession } from "../../client/create_session.ts";
import { quotePosix } from "../../backends/common/platform.ts";
import { DENO, runDeno, runProcess } from "../support/deno_process.ts";
import { startOidcProvider } from "../support/oidc_provider.ts";
import { tempDir } from "../support/temp_home.ts";
import { startTrackingApi } from "../support/tracking_api.ts";
import { type Afterwards, type Heard, originNames } from "./message_row.ts";

const ROOT = new URL("../../", import.meta.url);
const CLI = fromFileUrl(new URL("client/cli.ts", ROOT));
const CONFIG = quotePosix(fromFileUrl(new URL("deno.json", ROOT)));

/** A person at a computer of their own, and what they have set before the mistake. */
export interface Setting {
  /** Variables beside those of README's quick start. */
  env?: Record<string, string>;
  /** Flags of Deno. @default {["-A"]} */
  flags?: string[];
  /** Files in the home folder. */
  files?: Record<string, string>;
  /** The stored sign-in, with changes to its entry. */
  signedIn?: Record<string, unknown>;
  /** What the issuer has behind its host by mistake. */
  path?: string;
  /** The path of `VM_API_HOST`. */
  apiPath?: string;
  /** More of what the page shows in place of texts that differ from run to run. */
  names?: Record<string, string>;
  prepare?: (place: { home: string }) => Promise<void>;
  wrap?: (command: string[]) => string[];
  run: (person: Person) => Promise<Heard>;
  then?: Afterwards | undefined;
}

/** Runs what the person runs. */
export interface Person {
  /** A command, in a process of its own. */
  cli(args: string[]): Promise<Heard>;
  /** A script, in a process of its own. */
  script(code: string, env?: Record<string, string>): Promise<Heard>;
  /** `init()` of one copy of this module and `getSession()` of another. */
  twoCopies(): Promise<Heard>;
}

/** Starts a provider and an API, and lets the person make the mistake. */
export async function inHome(setting: Setting): Promise<Heard> {
  const { env: more = {}, flags = ["-A"], files = {}, wrap } = setting;
  await using provider = await startOidcProvider({ interval: 0.05 });
  provider.autoApprove = true;
  await using api = await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) });
  await using dir = await tempDir();
  const home = dir.path;
  const { issuer, clientId } = provider;
  const env = {
    HOME: home,
    VM_OIDC_ISSUER: issuer + (setting.path ?? ""),
    VM_OIDC_CLIENT_ID: clientId,
    VM_API_HOST: setting.apiPath === undefined
      ? api.apiHost
      : new URL(setting.apiPath, api.apiHost).href,
    VM_API_MODEL: "cl123",
    ...more,
  };
  const names = { ...originNames(issuer, api.apiHost), [home]: "/home/ada", ...setting.names };
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(home, name)), { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(join(home, name), text, { mode: 0o600 });
  }
  if (setting.signedIn !== undefined) await signIn(home, { issuer, clientId }, setting.signedIn);
  await setting.prepare?.({ home });

  const run = async (what: { file: string; args?: string[] }, also: Record<string, string> = {}) =>
    await runDeno({
      ...what,
      flags,
      env: { ...env, ...also },
      cwd: home,
      ...(wrap && { wrap }),
    });
  const script = async (code: string, also?: Record<string, string>) => {
    const file = join(home, "script.ts");
    await Deno.writeTextFile(file, scriptOf(code));
    const { stdout, stderr } = await run({ file }, also);
    const last = stdout.trimEnd().split("\n").at(-1) ?? "";
    if (!last.startsWith("{")) throw new Error(`the script printed "${stdout}" and "${stderr}"`);
    return { ...JSON.parse(last), names };
  };
  const heard = await setting.run({
    script,
    async cli(args) {
      const { stdout, stderr } = await run({ file: CLI, args });
      const [, code, message] = /^error \((\w+)\): (.*)$/sm.exec(stderr) ?? [];
      if (code === undefined) throw new Error(`the command printed "${stdout}" and "${stderr}"`);
      return { code, message: message!, names };
    },
    async twoCopies() {
      const other = join(home, "copy");
      await Deno.mkdir(other);
      for (const name of ["deno.json", "mod.ts", "backends", "client"]) {
        await copy(fromFileUrl(new URL(name, ROOT)), join(other, name));
      }
      return await script(`const other = await import(${JSON.stringify(`${other}/mod.ts`)});
        await vm.init();
        other.getSession();`);
    },
  });
  await setting.then?.(heard, (line) => inShell(line, home, env));
  return heard;
}

/** Runs a line in a shell in which `validmind-auth` and its address at JSR are this module. */
async function inShell(line: string, home: string, env: Record<string, string>) {
  const bin = join(home, "bin");
  await Deno.mkdir(bin, { recursive: true });
  const program = `exec ${quotePosix(DENO)} run --quiet --no-prompt -A ${quotePosix(CLI)} "$@"`;
  await Deno.writeTextFile(join(bin, "validmind-auth"), `#!/bin/sh\n${program}\n`, { mode: 0o755 });
  const script = line.replace("deno run", `${quotePosix(DENO)} run --no-prompt --config ${CONFIG}`)
    .replace("jsr:@validmind/auth/cli", quotePosix(CLI));
  return await runProcess(["sh", "-c", script], {
    cwd: home,
    env: { ...env, PATH: `${bin}:${Deno.env.get("PATH")}` },
  });
}

async function signIn(
  home: string,
  who: { issuer: string; clientId: string },
  change: Record<string, unknown>,
) {
  const path = join(home, ".validmind/credentials.json");
  const credentialsBackend = new FileCredentialsBackend({ path });
  await using _ = await createSession({ ...who, credentialsBackend, onDeviceCode: () => {} });
  const key = credentialKey(who.issuer, who.clientId);
  credentialsBackend.put(key, { ...credentialsBackend.get(key)!, ...change });
}

/** A script that prints the error that it ends with, and leaves what it has opened. */
function scriptOf(code: string): string {
  return `import * as vm from "@validmind/auth";
try {
${code}
console.log(JSON.stringify({ code: "none", message: "" }));
} catch (error) {
  console.log(JSON.stringify({ code: error.code ?? error.name, message: error.message }));
}
Deno.exit(0);
`;
}
