// msal-node: refreshes, and stores the new tokens. Arguments: issuer, client id, file.
import { PublicClientApplication } from "@azure/msal-node";
import { readFileSync } from "node:fs";
import process from "node:process";
import { writeSynced } from "./write_synced.mjs";

const [issuer, clientId, path] = process.argv.slice(2);
const document = JSON.parse(readFileSync(path, "utf8"));
const [entry] = Object.values(document.credentials);
const { host } = new URL(issuer);
const secure = `https://${host}`;
/** It wants https: this takes it to the provider of the bench, which has http: on loopback. */
const send = async (method, url, options = {}) => {
  const { headers, body } = options;
  const response = await fetch(url.replace("https:", "http:"), { method, headers, body });
  const text = (await response.text()).replaceAll(`http://${host}`, secure);
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: JSON.parse(text),
  };
};
const app = new PublicClientApplication({
  auth: {
    clientId,
    authority: secure,
    knownAuthorities: [host],
    protocolMode: "OIDC",
  },
  system: {
    protocolMode: "OIDC",
    networkClient: {
      sendGetRequestAsync: (url, options) => send("GET", url, options),
      sendPostRequestAsync: (url, options) => send("POST", url, options),
    },
  },
  cache: {
    cachePlugin: {
      beforeCacheAccess: () => Promise.resolve(),
      afterCacheAccess: (context) => {
        document.msal = JSON.parse(context.tokenCache.serialize());
        return Promise.resolve();
      },
    },
  },
});
const answer = await app.acquireTokenByRefreshToken({
  refreshToken: entry.refresh_token,
  scopes: ["openid"],
  forceCache: true,
});
const [stored] = Object.values(document.msal?.RefreshToken ?? {});
Object.assign(entry, {
  access_token: answer.accessToken,
  refresh_token: stored?.secret ?? entry.refresh_token,
  expires_at: answer.expiresOn.toISOString(),
});
delete document.msal;
writeSynced(path, JSON.stringify(document, null, 2));
const headers = new Headers({ authorization: `Bearer ${answer.accessToken}` });
if (!headers.has("authorization")) process.exit(1);
