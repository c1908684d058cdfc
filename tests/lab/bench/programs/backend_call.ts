/**
 * Repeats one call, for `perf stat -e instructions:u`: the difference of 20,000 and 60,000 calls is that
 * of warm ones. Arguments: the call's name, and their number.
 */
import { FileCredentialsBackend, MemoryCredentialsBackend } from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { benchEntry, KEY } from "../bench_world.ts";
import { rawEncryption, rawFile } from "../raw_stores.ts";
import { writeSynced } from "./write_synced.ts";

const [name = "", count] = Deno.args;
const folder = Deno.makeTempDirSync();
const path = `${folder}/store.json`;
const entry = benchEntry();
const secret = crypto.getRandomValues(new Uint8Array(32));
const [file, memory] = [new FileCredentialsBackend({ path }), new MemoryCredentialsBackend()];
const fallback = new FallbackCredentialsBackend({ backends: [file, memory] });
const encrypted = new EncryptedCredentialsBackend({ backend: file, key: secret });
const bareFile = rawFile(path);
const bareEncrypted = await rawEncryption(secret, file);
const document = { version: 1, credentials: { [KEY]: entry } };

interface Call {
  put: () => unknown;
  run: () => unknown;
}

const CALLS: Record<string, Call> = {
  file: { put: bareFile.put, run: () => file.get(KEY) },
  bare_file: { put: bareFile.put, run: bareFile.get },
  encrypted: { put: () => encrypted.put(KEY, entry), run: () => encrypted.get(KEY) },
  bare_encrypted: { put: bareEncrypted.put, run: bareEncrypted.get },
  fallback: { put: () => fallback.put(KEY, entry), run: () => fallback.get(KEY) },
  bare_fallback: { put: bareFile.put, run: () => [file.get(KEY), memory.get(KEY)] },
  put: { put: bareFile.put, run: () => file.put(KEY, entry) },
  bare_put: {
    put: bareFile.put,
    run: () => writeSynced(path, `${JSON.stringify(document, null, 2)}\n`),
  },
};

try {
  const { put, run } = CALLS[name]!;
  await put();
  for (let done = 0; done < Number(count); done++) await run();
} finally {
  Deno.removeSync(folder, { recursive: true });
}
