/** A `fetch` that counts and then does what `handle` says, or what the real one does. */
export function spyFetch(
  handle: (url: string, init: RequestInit) => Promise<Response> | Response = fetch,
): typeof fetch & { urls: string[] } {
  const urls: string[] = [];
  const spy = (input: string | URL | Request, init: RequestInit = {}) => {
    const url = input instanceof Request ? input.url : String(input);
    urls.push(url);
    return Promise.try(() => handle(url, init));
  };
  return Object.assign(spy as typeof fetch, { urls });
}

/** Gives answers without a Date header, as of Keycloak. */
export const dateless = spyFetch(async (url, init) => {
  const { status, headers: received, body } = await fetch(url, init);
  const headers = new Headers(received);
  headers.delete("date");
  return new Response(body, { status, headers });
});
