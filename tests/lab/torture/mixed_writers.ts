import { FileCredentialsBackend } from "@validmind/auth";
import { ALL, runDeno } from "../../support/deno_process.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const WRITER = new URL("writer_child.ts", import.meta.url).href;

const WRITERS = 8;

/** Writers of different keys share one file, and none of their updates may be lost. */
export async function mixedWriters({ count, folder }: TortureOptions): Promise<TortureResult> {
  const path = `${folder}/credentials.json`;
  const each = Math.ceil(count / WRITERS);
  const outputs = await Promise.all(
    Array.from({ length: WRITERS }, (_, writer) => write(path, `writer${writer}`, each)),
  );
  const backend = new FileCredentialsBackend({ path });
  const failures: string[] = [];
  let updates = 0;
  for (const { output, error } of outputs) {
    const lines = output.trim().split("\n");
    updates += lines.length;
    if (lines.length !== each) failures.push(`a writer stopped at ${lines.length}: ${error}`);
    for (const [key, n] of new Map(lines.map((line) => line.split(" ") as [string, string]))) {
      const stored = backend.get(key)?.n;
      if (stored !== Number(n)) failures.push(`${key}: wrote ${n} last, stored ${stored}`);
    }
  }
  return {
    name: `${updates} updates by ${WRITERS} processes, different keys of one file`,
    figures: { "lost updates": failures.length },
    failures,
  };
}

async function write(path: string, prefix: string, each: number) {
  const args = [path, prefix, "0", String(each)];
  const { stdout, stderr } = await runDeno({ file: WRITER, flags: ALL, args, timeoutMs: 600_000 });
  return { output: stdout, error: stderr.slice(0, 300) };
}
