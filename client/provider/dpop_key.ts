import type * as oauth from "oauth4webapi";

/** ES256, which every provider with DPoP accepts. */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;

const handles = new WeakMap<CryptoKeyPair, { handle: oauth.DPoPHandle; skew: number }>();
/** A smaller change of the provider's clock makes no new proofs necessary, in seconds. */
const SLACK_SECONDS = 2;

/** A key that tokens are bound to. */
export interface DpopKey {
  /** The private key as it is stored. Secret. */
  jwk: JsonWebKey;
  /** The same for use: the private key cannot be read out of it. */
  pair: CryptoKeyPair;
}

/** Makes a key for the tokens of one sign-in: RFC 9449. */
export async function generateDpopKey(): Promise<DpopKey> {
  const { privateKey } = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", privateKey);
  const jwk = { kty, crv, x, y, d };
  return { jwk, pair: await importPair(jwk) };
}

/** A stored key for use, or `undefined` for a damaged key or another value. */
export async function importDpopKey(jwk: unknown): Promise<CryptoKeyPair | undefined> {
  try {
    return await importPair(jwk as JsonWebKey);
  } catch {
    return undefined; // the error may quote the key
  }
}

async function importPair({ kty, crv, x, y, d }: JsonWebKey) {
  const open = { kty, crv, x, y };
  const [privateKey, publicKey] = await Promise.all([
    crypto.subtle.importKey("jwk", { ...open, d }, ALGORITHM, false, ["sign"]),
    crypto.subtle.importKey("jwk", open, ALGORITHM, true, ["verify"]),
  ]);
  return { privateKey, publicKey };
}

/**
 * The maker of a key's proofs. There is one for each key, since it remembers the last nonce of each
 * server. A provider takes proofs of seconds only, so that they have its time where it is known.
 *
 * @param library oauth4webapi, which a start from stored tokens does not load.
 * @param skew Seconds by which the provider's clock is ahead. Absent to keep the last known.
 */
export function dpopHandle(
  { DPoP, clockSkew }: Pick<typeof oauth, "DPoP" | "clockSkew">,
  pair: CryptoKeyPair,
  skew?: number,
): oauth.DPoPHandle {
  const made = handles.get(pair);
  const isOff = skew !== undefined && Math.abs(skew - (made?.skew ?? 0)) > SLACK_SECONDS;
  if (made && !isOff) return made.handle;
  const handle = DPoP({ [clockSkew]: skew ?? 0 }, pair);
  handles.set(pair, { handle, skew: skew ?? 0 });
  return handle;
}
