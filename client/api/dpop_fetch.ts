import * as oauth from "oauth4webapi";
import { isReplayable } from "./transport.ts";
import { dpopHandle } from "../provider/dpop_key.ts";

/**
 * A `fetch` that adds a proof of the key to each request with `Authorization: DPoP …`: RFC 9449,
 * section 7. Other requests, such as after a redirect to another origin, stay as they are. If the API
 * asks for a nonce, a request with a replayable body is sent once more with it.
 */
export function dpopFetch(
  fetch: typeof globalThis.fetch,
  pair: CryptoKeyPair,
): typeof globalThis.fetch {
  return async (input, init = {}) => {
    const headers = new Headers(init.headers);
    const token = /^DPoP (\S+)$/.exec(headers.get("authorization") ?? "")?.[1];
    if (token === undefined) return await fetch(input, init);
    const url = new URL(input instanceof Request ? input.url : input);
    const send = () =>
      request(pair, token, init.method ?? "GET", url, (proof) => {
        headers.set("dpop", proof.get("dpop")!);
        return fetch(url, { ...init, headers });
      });
    const { response, wantsNonce } = await send();
    if (!wantsNonce || !isReplayable(init.body)) return response;
    await response.body?.cancel();
    return (await send()).response;
  };
}

/** The headers `Authorization` and `DPoP` for one request, which the caller makes. */
export async function dpopHeaders(
  pair: CryptoKeyPair,
  token: string,
  method: string,
  url: URL,
): Promise<Headers> {
  let headers = new Headers();
  await request(pair, token, method, url, (proof) => {
    headers = new Headers(proof);
    return Promise.resolve(new Response());
  });
  return headers;
}

/** oauth4webapi makes the proof and reads the answer's nonce; `send` makes the request. */
async function request(
  pair: CryptoKeyPair,
  token: string,
  method: string,
  url: URL,
  send: (proof: Headers) => Promise<Response>,
): Promise<{ response: Response; wantsNonce: boolean }> {
  try {
    const response = await oauth.protectedResourceRequest(
      token,
      method,
      url,
      undefined,
      undefined,
      {
        DPoP: dpopHandle(oauth, pair),
        [oauth.allowInsecureRequests]: url.protocol === "http:", // the URL was checked before
        [oauth.customFetch]: (_url, { headers }) => {
          const { authorization, dpop } = headers as Record<string, string>;
          return send(new Headers({ authorization: authorization!, dpop: dpop! }));
        },
      },
    );
    return { response, wantsNonce: false };
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    return { response: error.response, wantsNonce: oauth.isDPoPNonceError(error) };
  }
}
