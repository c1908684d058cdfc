// `vault` as the page about hubs uses it: each command is the one request that Vault documents for it.
// The real program is not built, since it has every plugin in it.
const { VAULT_ADDR, VAULT_TOKEN } = Deno.env.toObject();
const [command, ...words] = Deno.args;
const [action = "", name = "", file = ""] = words;

/** `name=value`, with `@` before the name of a file. */
function field(word: string): [name: string, value: string] {
  const [name = "", ...rest] = word.split("=");
  const value = rest.join("=");
  return [name, value.startsWith("@") ? Deno.readTextFileSync(value.slice(1)) : value];
}

const REQUESTS: Record<string, () => [path: string, body?: unknown]> = {
  "auth enable": () => [`sys/auth/${name}`, { type: name }],
  "auth list": () => ["sys/auth"],
  "policy write": () => [`sys/policies/acl/${name}`, { policy: Deno.readTextFileSync(file) }],
};
const write = () => [action, Object.fromEntries(words.slice(1).map(field))] as const;
const [path, body] = (REQUESTS[`${command} ${action}`] ?? write)();
const response = await fetch(`${VAULT_ADDR}/v1/${path}`, {
  method: body === undefined ? "GET" : "PUT",
  headers: { "X-Vault-Token": VAULT_TOKEN! },
  body: body === undefined ? null : JSON.stringify(body),
});
await Deno.stdout.write(await response.bytes());
if (!response.ok) Deno.exit(2);
