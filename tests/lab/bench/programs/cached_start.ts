/** A script that has a valid token in the shared file already. */
import { createSession } from "@validmind/auth";

const [issuer, clientId] = Deno.args as [string, string];
const session = await createSession({ issuer, clientId });
const headers = await session.headers();
if (!headers.has("authorization")) Deno.exit(1);
