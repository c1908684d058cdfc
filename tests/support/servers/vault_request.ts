/** Options of {@linkcode requestVault}. */
export interface VaultRequestInit {
  /** `null` sends none. */
  token?: string | null;
  namespace?: string;
  /** For a certificate authority of its own. */
  client?: Deno.HttpClient;
}

/** An answer of Vault; redirects are not followed. */
export interface VaultAnswer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any -- tests pick from it what they look at
  body: any;
}

/** Calls the API of one node: `path` follows `/v1/`. */
export async function requestVault(
  url: string,
  method: string,
  path: string,
  body: unknown,
  { token = null, namespace, client }: VaultRequestInit,
): Promise<VaultAnswer> {
  const headers = new Headers();
  if (token !== null) headers.set("X-Vault-Token", token);
  if (namespace !== undefined) headers.set("X-Vault-Namespace", namespace);
  const response = await fetch(`${url}/v1/${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    redirect: "manual",
    client,
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") && text !== "";
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : undefined,
  };
}
