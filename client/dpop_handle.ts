import * as oauth from "oauth4webapi";

const handles = new WeakMap<CryptoKeyPair, oauth.DPoPHandle>();

/** What makes a key's proofs. One for each key, since it remembers each server's last nonce. */
export function dpopHandle(pair: CryptoKeyPair): oauth.DPoPHandle {
  let handle = handles.get(pair);
  if (handle === undefined) {
    handle = oauth.DPoP({}, pair);
    handles.set(pair, handle);
  }
  return handle;
}
