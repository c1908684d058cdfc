import * as oauth from "oauth4webapi";
import { ValidMindAuthError } from "../errors.ts";
import { dpopHandle } from "../provider/dpop_key.ts";
import { isReplayable } from "./transport.ts";

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
    const url = new URL(String(input));
    let wantsNonce = false;
    /** oauth4webapi makes the proof, and reads the nonce of the answer. */
    const send = async () => {
      try {
        const method = init.method ?? "GET";
        return await oauth.protectedResourceRequest(token, method, url, undefined, undefined, {
          DPoP: dpopHandle(oauth, pair),
          [oauth.allowInsecureRequests]: url.protocol === "http:", // the URL was checked before
          [oauth.customFetch]: (_url, { headers: { dpop } }) => {
            headers.set("dpop", dpop!);
            return fetch(url, { ...init, headers });
          },
        });
      } catch (error) {
        if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
        wantsNonce = oauth.isDPoPNonceError(error);
        return error.response;
      }
    };
    const response = await send();
    if (!wantsNonce || !isReplayable(init.body)) return response;
    await response.body?.cancel();
    return await send();
  };
}

/** Adds a proof to headers with `Authorization: DPoP …`, for one request that the caller makes. */
export async function addProof(
  headers: Headers,
  pair: CryptoKeyPair,
  method: string,
  url: URL | undefined,
) {
  if (!url) {
    throw new ValidMindAuthError("dpop_request_needed", {
      action: "give headers",
      reason: "the token is bound to a key, and each request needs its own proof for its method " +
        "and URL",
      remedy: "Pass { method, url }, or use fetch().",
    });
  }
  const copyProof: typeof fetch = (_, init) => {
    headers.set("dpop", new Headers(init?.headers).get("dpop")!);
    return Promise.resolve(new Response());
  };
  await dpopFetch(copyProof, pair)(url, { method: method.toUpperCase(), headers });
}
