import { type ProcessResult, runDeno, type RunDenoOptions } from "./deno_process.ts";
import { tempDir } from "./temp_home.ts";

/** The forms of `isolate`. */
export const FORMS = ["worker", "process"] as const;
export type Form = typeof FORMS[number];

/** One program that uses an isolated backend. */
export interface IsolatedTrial
  extends Pick<RunDenoOptions, "stdin" | "flags" | "env" | "timeoutMs"> {
  form: Form;
  /** The module of the backend, in JavaScript. */
  module: string;
  exportName: string;
  /** The program. It has `backend`, `entry`, `fault` and `isolate`. */
  code: string;
  /** Members of `isolate` beside `as` and the grant. */
  isolate?: Record<string, unknown>;
}

/** The flags of a program that may do everything, with the unstable ones of a form. */
export function programFlags(form: Form): string[] {
  return form === "worker" ? ["-A", "--unstable-worker-options"] : ["-A"];
}

/**
 * Runs a program that loads a backend in isolation, with read and write of the store's own paths
 * alone. The backend gets the store's path as its option.
 */
export async function runIsolated(trial: IsolatedTrial): Promise<ProcessResult> {
  await using folder = await tempDir();
  const module = `${folder.path}/backend.js`;
  await Deno.writeTextFile(module, trial.module);
  const store = `${folder.path}/store.json`;
  const own = [store, `${store}.lock`];
  const { form, exportName, isolate, code, flags, env, stdin, timeoutMs } = trial;
  return await runDeno({
    flags: flags ?? programFlags(form),
    ...(stdin !== undefined && { stdin }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    env: {
      HOME: folder.path,
      VM_OIDC_CREDENTIALS_BACKEND: `${module}:${exportName}`,
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: store }),
      ...env,
    },
    code: `
      import { loadBackendFromEnv } from "@validmind/auth";
      const isolate = ${
      JSON.stringify({ as: form, read: [module, ...own], write: own, ...isolate })
    };
      const backend = (await loadBackendFromEnv({ isolate }))!;
      const entry = { issuer: "i", client_id: "c", access_token: "t" };
      const fault = (run: () => unknown) =>
        Promise.try(run).then((value) => ({ code: "none", message: String(value) }), (e) => e);
      ${code}
    `,
  });
}
