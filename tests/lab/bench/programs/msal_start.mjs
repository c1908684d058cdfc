// msal-node, silently from a file cache. Arguments: cache file, client id, home account id.
import { PublicClientApplication } from "@azure/msal-node";
import { readFileSync } from "node:fs";
import process from "node:process";

const [path, clientId, homeAccountId] = process.argv.slice(2);
const app = new PublicClientApplication({
  auth: {
    clientId,
    authority: "https://login.microsoftonline.com/33333333-3333-3333-3333-333333333333",
  },
  cache: {
    cachePlugin: {
      beforeCacheAccess: (context) =>
        Promise.resolve(context.tokenCache.deserialize(readFileSync(path, "utf8"))),
      afterCacheAccess: () => Promise.resolve(),
    },
  },
});
const account = await app.getTokenCache().getAccountByHomeId(homeAccountId);
const { accessToken } = await app.acquireTokenSilent({ account, scopes: ["api://x/read"] });
const headers = new Headers({ authorization: `Bearer ${accessToken}` });
if (!headers.has("authorization")) process.exit(1);
