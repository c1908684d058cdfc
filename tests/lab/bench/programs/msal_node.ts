/** A client with the cache of a file, by Microsoft's library: it looks the account up. */

// Not in the lock file of this repository.
const library = "npm:@azure/msal-node@3.8.4";
const { PublicClientApplication } = await import(library);

const { credentials } = JSON.parse(Deno.readTextFileSync(Deno.args[1]!));
const { client_id, access_token } = credentials[Deno.args[0]!];
const client = new PublicClientApplication({ auth: { clientId: client_id } });
client.getTokenCache().deserialize("{}");
await client.getTokenCache().getAllAccounts();
new Headers({ authorization: `Bearer ${access_token}` });
