// google-auth-library: refreshes, and stores the new credentials. Arguments: issuer, client id, file.
import { OAuth2Client } from "google-auth-library";
import { readFileSync } from "node:fs";
import process from "node:process";
import { writeSynced } from "./write_synced.mjs";

const [issuer, clientId, path] = process.argv.slice(2);
const document = JSON.parse(readFileSync(path, "utf8"));
const [entry] = Object.values(document.credentials);
// It asks for no discovery document: Google's endpoints are in its code.
const client = new OAuth2Client({ clientId, endpoints: { oauth2TokenUrl: `${issuer}/token` } });
client.setCredentials({ refresh_token: entry.refresh_token, expiry_date: 1 });
client.on("tokens", ({ expiry_date, ...tokens }) => {
  Object.assign(entry, tokens, { expires_at: new Date(expiry_date).toISOString() });
  writeSynced(path, JSON.stringify(document, null, 2));
});
const headers = new Headers(await client.getRequestHeaders());
if (!headers.has("authorization")) process.exit(1);
