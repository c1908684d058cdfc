// google-auth-library with stored credentials. Argument: their file.
import { OAuth2Client } from "google-auth-library";
import { readFileSync } from "node:fs";
import process from "node:process";

const client = new OAuth2Client({ clientId: "bench" });
client.setCredentials(JSON.parse(readFileSync(process.argv[2], "utf8")));
const headers = new Headers(await client.getRequestHeaders());
if (!headers.has("authorization")) process.exit(1);
