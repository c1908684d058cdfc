/** A script that has a valid token in the OS keychain. */
import { createSession } from "@validmind/auth";
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";

const [issuer, clientId] = Deno.args as [string, string];
const credentialsBackend = new KeychainCredentialsBackend({ lockFolder: "/tmp" });
const session = await createSession({ issuer, clientId, credentialsBackend });
const headers = await session.headers();
Deno.exit(headers.has("authorization") ? 0 : 1);
