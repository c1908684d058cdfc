// Starts from what is stored and says the token's hash.
import { createSession } from "@validmind/auth";

const [issuer, clientId] = Deno.args as [string, string];
const session = await createSession({ issuer, clientId, interactive: false });
const token = new TextEncoder().encode(await session.accessToken());
const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", token));
Deno.stdout.writeSync(new TextEncoder().encode(digest.toHex()));
await session.close();
