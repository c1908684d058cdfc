import { equal } from "@std/assert/equal";
import { CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
import { entry } from "../../support/entries.ts";
import { Random } from "./random.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/**
 * Flips random bytes of the file or cuts it. Each time it must read cleanly and keep all that stands
 * in it through a write, or be refused with a code and stay as it is.
 */
export async function mutateFile({ count, seed, folder }: TortureOptions): Promise<TortureResult> {
  const path = `${folder}/credentials.json`;
  const random = new Random(seed);
  const backend = new FileCredentialsBackend({ path, onWarning: () => {} });
  for (let n = 0; n < 3; n++) {
    await backend.put(`https://login.example.com|größe-${n}`, entry({ n }));
  }
  const original = Deno.readFileSync(path);
  const failures: string[] = [];
  const codes: Record<string, number> = {};
  for (let n = 0; n < count; n++) {
    const bytes = mutate(original, random);
    Deno.writeFileSync(path, bytes);
    const { code, failure } = await judge(backend, bytes);
    codes[code] = (codes[code] ?? 0) + 1;
    if (failure !== undefined) failures.push(`mutation ${n}: ${failure}`);
  }
  return { figures: codes, failures };
}

function mutate(original: Uint8Array, random: Random): Uint8Array {
  if (random.int(0, 3) === 0) return original.slice(0, random.int(0, original.length - 1));
  const bytes = original.slice();
  for (let flips = random.int(1, 4); flips > 0; flips--) {
    const at = random.int(0, bytes.length - 1);
    bytes[at] = bytes[at]! ^ random.int(1, 255);
  }
  return bytes;
}

async function judge(
  backend: FileCredentialsBackend,
  bytes: Uint8Array,
): Promise<{ code: string; failure?: string }> {
  const reading = await codeOf(() => Array.fromAsync(backend.list()));
  const writing = await codeOf(() => backend.put("new|key", entry({ n: 99 })));
  const after = Deno.readFileSync(backend.path);
  if (reading === "ok" && writing === "ok") {
    const isKept = keepsAll(bytes, after);
    return { code: "read and kept", ...(!isKept && { failure: "a write lost something" }) };
  }
  const code = writing === "ok" ? reading : writing;
  if (!/^backend_(corrupt|version)$/.test(code)) return { code, failure: `code ${code}` };
  if (!equal(bytes, after)) return { code, failure: "a refused file was changed" };
  return { code };
}

function keepsAll(before: Uint8Array, after: Uint8Array): boolean {
  const parse = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
  const was = parse(before);
  const is = parse(after);
  delete is.credentials["new|key"];
  return equal({ version: 1, credentials: {}, ...was }, is);
}

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "ok";
  } catch (error) {
    return error instanceof CredentialsBackendError ? error.code : `not coded: ${error}`;
  }
}
