import { join } from "@std/path/join";
import { fromFileUrl } from "@std/path/posix/from-file-url";
import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { VERSION } from "../../signed_in/session.ts";
import { UsageError } from "../usage_error.ts";

/** `kernel.json`, as Jupyter reads it. */
export interface KernelSpec {
  readonly argv: readonly string[];
  readonly display_name: string;
  readonly language: "typescript";
  readonly env: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface KernelSpecOptions {
  readonly displayName: string;
  readonly env: Readonly<Record<string, string>>;
  /** The permissions are decided by `jupyter kernel`. */
  readonly narrow?: { readonly policy?: string | undefined; readonly audit?: string | undefined };
}

/** The specification of a kernel that runs by this Deno. */
export function kernelSpec({ displayName, env, narrow }: KernelSpecOptions): KernelSpec {
  const argv = narrow === undefined
    ? [denoPath(), "jupyter", "--kernel", "--conn", "{connection_file}"]
    : [
      ...ownCommand(),
      "jupyter",
      "kernel",
      "--connection-file",
      "{connection_file}",
      ...(narrow.policy === undefined ? [] : ["--policy", narrow.policy]),
      ...(narrow.audit === undefined ? [] : ["--audit", narrow.audit]),
    ];
  return {
    argv: withDeathSignal("TERM", argv),
    display_name: displayName,
    language: "typescript",
    env,
    metadata: { "validmind-auth": { version: VERSION, narrow: narrow !== undefined } },
  };
}

/** The Deno that runs kernels: this one, or for a compiled program the one on PATH. */
export function denoPath(): string {
  return Deno.build.standalone ? "deno" : Deno.execPath();
}

/**
 * This program, whatever folder a notebook is in: a `deno.json` or `package.json` there could name
 * other code for its imports, which would run with every permission.
 */
function ownCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const root = moduleRoot();
  const [config, entry] = root === undefined
    ? ["--no-config", `jsr:@validmind/auth@${VERSION}/cli`]
    : [`--config=${root}/deno.json`, `${root}/client/cli.ts`];
  const run = [denoPath(), "run", "--quiet", "-A", "--unstable-kv", "--no-lock", config, entry];
  return ["/usr/bin/env", "DENO_NO_PACKAGE_JSON=1", ...run];
}

/** The folder of this module where it is not from a registry. */
export function moduleRoot(): string | undefined {
  const url = new URL("../../../", import.meta.url);
  return url.protocol === "file:" ? fromFileUrl(url).replace(/\/$/, "") : undefined;
}

/**
 * The command in an envelope that ends it with its parent: at a server's end Jupyter leaves Deno
 * kernels running, which keep their ports. Only Linux has it, in util-linux.
 */
export function withDeathSignal(signal: "TERM" | "KILL", argv: readonly string[]): string[] {
  if (Deno.build.os !== "linux") return [...argv];
  const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find(isThere);
  return setpriv === undefined ? [...argv] : [setpriv, "--pdeathsig", signal, "--", ...argv];
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Variables that lead to Jupyter's folders. */
export const FOLDER_VARIABLES = ["JUPYTER_DATA_DIR", "XDG_DATA_HOME", "HOME", "APPDATA"] as const;

/** Jupyter's own folder for data of this user. */
export function dataFolder(): string | undefined {
  const [own, xdg, home, appData] = FOLDER_VARIABLES.map(readEnvIfGranted);
  if (own !== undefined) return own;
  if (Deno.build.os === "windows") return appData && `${appData}\\jupyter`;
  if (Deno.build.os === "darwin") return home && `${home}/Library/Jupyter`;
  return xdg !== undefined ? `${xdg}/jupyter` : home && `${home}/.local/share/jupyter`;
}

/** Variables of the Python environment that is active, for `--sys-prefix`. */
export const PREFIX_VARIABLES = ["VIRTUAL_ENV", "CONDA_PREFIX"] as const;

/** The folder in which Jupyter looks for kernels. */
export function kernelsFolder(prefix: string | undefined, isSysPrefix: boolean): string {
  const found = prefix ??
    (isSysPrefix ? PREFIX_VARIABLES.map(readEnvIfGranted).find((one) => one) : undefined);
  if (isSysPrefix && found === undefined) {
    throw new UsageError(
      "Cannot use --sys-prefix: neither VIRTUAL_ENV nor CONDA_PREFIX is set. Activate the " +
        "environment, or give its folder as --prefix.",
    );
  }
  const data = found === undefined ? dataFolder() : join(found, "share", "jupyter");
  if (data !== undefined) return join(data, "kernels");
  throw new UsageError(
    "Cannot find Jupyter's folder: HOME is not set. Set it, or give --prefix.",
  );
}
