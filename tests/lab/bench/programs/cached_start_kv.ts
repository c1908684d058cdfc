/** The same with the token in a Deno KV file. */
import { createSession, KvCredentialsBackend } from "@validmind/auth";

const [issuer, clientId, path] = Deno.args as [string, string, string];
const credentialsBackend = new KvCredentialsBackend({ path });
const session = await createSession({ issuer, clientId, credentialsBackend });
const headers = await session.headers();
await credentialsBackend.close();
if (!headers.has("authorization")) Deno.exit(1);
