/** The floor: reads and parses the file that holds the token, and makes the header. */
const path = `${Deno.env.get("HOME")}/.validmind/credentials.json`;
const { credentials } = JSON.parse(Deno.readTextFileSync(path));
const headers = new Headers({ authorization: `Bearer ${credentials[Deno.args[0]!].access_token}` });
if (!headers.has("authorization")) Deno.exit(1);
