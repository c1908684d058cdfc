import { fromFileUrl } from "@std/path";
import { ALL, type ProcessResult, runDeno, runProcess } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** What one program found of its own row, each time after a write or a sign-out of it. */
export interface BesideResult {
  written: number;
  /** Writes that were gone. */
  lost: number;
  /** Sign-outs after which a row was there. */
  undone: number;
}

const PYTHON_CHILD = fromFileUrl(new URL("./python_child.py", import.meta.url));
const CHILD = new URL("beside_python_child.ts", import.meta.url).href;
/** A process that takes longer is killed. */
const timeoutMs = 600_000;

/**
 * Writes and signs out a row while the Python library does so with another one, in one file. The library
 * takes no lock, so that it may overwrite rows of this module; the reverse is a fault.
 */
export async function writeBesidePython(options: TortureOptions): Promise<TortureResult> {
  const { count, seed, folder } = options;
  const python = await serverBinary("validmind-library");
  const env = { HOME: folder };
  const args = [`${count}`, `${seed}`];
  const [ours, theirs] = await Promise.all([
    resultOf(runDeno({ file: CHILD, flags: ALL, args, env, timeoutMs })),
    resultOf(runProcess([python, PYTHON_CHILD, "put", `${count}`], { env, timeoutMs })),
  ]);
  // Python may replace the file between the last look and the rename: while this is one call of the system.
  const tolerated = Math.ceil(count / 100);
  return {
    figures: {
      "writes of each": theirs.written,
      "rows of Python lost, sign-outs undone": `${theirs.lost}, ${theirs.undone}`,
      "lost by Python": ours.lost,
      "sign-outs undone by Python": ours.undone,
    },
    failures: [
      ...theirs.lost > tolerated ? [`${theirs.lost} rows of Python were lost`] : [],
      ...theirs.undone > tolerated ? [`${theirs.undone} sign-outs of Python were undone`] : [],
    ],
  };
}

/** The line of JSON that a process prints. */
async function resultOf(process: Promise<ProcessResult>): Promise<BesideResult> {
  const { stdout, stderr } = await process;
  if (stdout === "") throw new Error(`A process failed: ${stderr}`);
  return JSON.parse(stdout);
}
