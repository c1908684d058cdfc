/** The floor of a refresh: no lock, no second look, no check of options. */
import * as oauth from "oauth4webapi";
import { writeSynced } from "./write_synced.ts";

const [issuer, client_id, path] = Deno.args as [string, string, string];
const document = JSON.parse(Deno.readTextFileSync(path));
const [entry] = Object.values(document.credentials) as Record<string, string>[];
const insecure = { [oauth.allowInsecureRequests]: true };
const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url,
  await oauth.discoveryRequest(url, insecure),
);
const client = { client_id };
const response = await oauth.refreshTokenGrantRequest(
  server,
  client,
  oauth.None(),
  entry!.refresh_token!,
  insecure,
);
const answer = await oauth.processRefreshTokenResponse(server, client, response);
if (answer.id_token !== undefined) {
  await oauth.validateApplicationLevelSignature(server, response, insecure);
}
const expires_at = new Date(Date.now() + answer.expires_in! * 1000).toISOString();
Object.assign(entry!, answer, { expires_at });
writeSynced(path, JSON.stringify(document, null, 2));
new Headers({ authorization: `Bearer ${answer.access_token}` });
