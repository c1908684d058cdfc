/** The same by openid-client, whose specifier is the last argument. */
import { writeSynced } from "./write_synced.ts";

const [issuer, clientId, path, library] = Deno.args as [string, string, string, string];
const { allowInsecureRequests, discovery, None, refreshTokenGrant } = await import(
  `npm:${library}`
);
const document = JSON.parse(Deno.readTextFileSync(path));
const [entry] = Object.values(document.credentials) as Record<string, string>[];
const config = await discovery(new URL(issuer), clientId, undefined, None(), {
  execute: [allowInsecureRequests],
});
const answer = await refreshTokenGrant(config, entry!.refresh_token);
const expires_at = new Date(Date.now() + answer.expires_in * 1000).toISOString();
Object.assign(entry!, answer, { expires_at });
writeSynced(path, JSON.stringify(document, null, 2));
new Headers({ authorization: `Bearer ${answer.access_token}` });
