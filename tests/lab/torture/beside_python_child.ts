// Writes and signs out a row of the credentials file beside a Python process: COUNT SEED.
import { FileCredentialsBackend } from "@validmind/auth";
import type { BesideResult } from "./beside_python.ts";
import { entry } from "../../support/entries.ts";
import { Random } from "./random.ts";

const KEY = "https://login.example.com|deno";
const LONGEST_PAUSE_MS = 300;

const [count, seed] = Deno.args.map(Number);
const random = new Random(seed!);
const backend = new FileCredentialsBackend();
const result: BesideResult = { written: count!, lost: 0, undone: 0 };
for (let n = 1; n <= count!; n++) {
  const isSignOut = n % 3 === 0;
  await (isSignOut ? backend.delete(KEY) : backend.put(KEY, entry({ n })));
  await new Promise((resolve) => setTimeout(resolve, random.int(0, LONGEST_PAUSE_MS)));
  const found = backend.get(KEY)?.n;
  if (isSignOut ? found !== undefined : found !== n) result[isSignOut ? "undone" : "lost"]++;
}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(result)));
