// deno-lint-ignore-file no-console -- its output is what the demo reads
/** A program that starts while a token is stored: the demo runs it with few permissions. */
import { init } from "@validmind/auth";

const start = performance.now();
const session = await init({ interactive: false });
const initMs = performance.now() - start;
const { email } = await session.status();
console.log(JSON.stringify({ initMs, email }));
