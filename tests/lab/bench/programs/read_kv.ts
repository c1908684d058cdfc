/** The floor for Deno KV: opens the database, gets one value, and makes the header. */
const kv = await Deno.openKv(Deno.args[0]);
const { value } = await kv.get<{ access_token: string }>(["token"]);
const headers = new Headers({ authorization: `Bearer ${value!.access_token}` });
kv.close();
if (!headers.has("authorization")) Deno.exit(1);
