/** A header from a stored token, by Google's library. */

// Not in the lock file of this repository.
const library = "npm:google-auth-library@10.5.0";
const { OAuth2Client } = await import(library);

const { credentials } = JSON.parse(Deno.readTextFileSync(Deno.args[1]!));
const { access_token, expires_at } = credentials[Deno.args[0]!];
const client = new OAuth2Client();
client.setCredentials({ access_token, expiry_date: Date.parse(expires_at) });
const headers = await client.getRequestHeaders();
if (!headers.has("authorization")) Deno.exit(1);
