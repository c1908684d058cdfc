// Starts from what is stored and says the token's hash and what it cost.
import { createSession, FileCredentialsBackend } from "@validmind/auth";

const [path, issuer, clientId] = Deno.args as [string, string, string];
const session = await createSession({
  issuer,
  clientId,
  interactive: false,
  credentialsBackend: new FileCredentialsBackend({ path }),
});
const token = new TextEncoder().encode(await session.accessToken());
const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", token));
Deno.stdout.writeSync(new TextEncoder().encode(digest.toHex()));
