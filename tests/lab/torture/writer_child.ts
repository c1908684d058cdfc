// Writes numbered entries for ever and says of each, once it is stored, which it was.
import { FileCredentialsBackend } from "@validmind/auth";
import { numberedEntry } from "./entries.ts";

const [path, prefix, start, limit = "Infinity"] = Deno.args as [string, string, string, string?];
const backend = new FileCredentialsBackend({ path });
const encoder = new TextEncoder();
for (let n = Number(start); n < Number(start) + Number(limit); n++) {
  const key = `${prefix}|${n % 5}`;
  await backend.put(key, numberedEntry(n));
  Deno.stdout.writeSync(encoder.encode(`${key} ${n}\n`));
}
