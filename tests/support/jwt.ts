import RSA_KEYS from "../fixtures/test_only_rsa_keys.json" with { type: "json" };
import { rememberSecret } from "./assert_no_secret.ts";

const RSA: RsaHashedKeyGenParams = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};

const KINDS = {
  RS256: RSA,
  PS256: { name: "RSA-PSS" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384" },
  ES512: { name: "ECDSA", namedCurve: "P-521" },
  EdDSA: { name: "Ed25519" },
};

/** A signing key, in the forms that a client and a provider take. */
export type SigningKey = Awaited<ReturnType<typeof makeKey>>;

/** How {@linkcode signJwt} signs. */
export interface SignOptions {
  /** `none` leaves the signature empty; `HS256` uses `secret`. @default {the key's} */
  alg?: "RS256" | "ES256" | "HS256" | "none";
  /** @default {"validmind-test"} */
  secret?: string;
  /** Further or other header members. */
  header?: Record<string, unknown>;
}

/** How many of the fixed RSA keys this process has handed out. */
let used = 0;

/** Gives a key of this kind that no other call in this process gives. */
export async function makeKey(alg: keyof typeof KINDS = "RS256") {
  const params = { ...RSA, ...KINDS[alg] };
  const fixed = params.name.startsWith("RSA") ? RSA_KEYS[used++] : undefined;
  const pair = await (fixed ? importPair(fixed, params) : generatePair(params));
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const body = der.toBase64().match(/.{1,64}/g)!.join("\n");
  const kid: string = crypto.randomUUID();
  const jwkOf = async (key: CryptoKey): Promise<JsonWebKey> => {
    const { key_ops: _, ext: _1, ...jwk } = await crypto.subtle.exportKey("jwk", key);
    return Object.assign(jwk, { kid, use: "sig", alg });
  };
  const privateJwk = await jwkOf(pair.privateKey);
  rememberSecret(der.slice(-16).toBase64());
  rememberSecret(privateJwk.d!);
  return {
    kid,
    pem: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
    privateKey: pair.privateKey,
    privateJwk,
    publicJwk: await jwkOf(pair.publicKey),
  };
}

function generatePair(params: typeof RSA): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(params, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

/** To make an RSA key takes longer than most tests, so that those of the tests were made once. */
async function importPair(jwk: typeof RSA_KEYS[number], params: typeof RSA) {
  const { kty, n, e } = jwk;
  return {
    privateKey: await crypto.subtle.importKey("jwk", jwk, params, true, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", { kty, n, e }, params, true, ["verify"]),
  };
}

/** The last token. A signature of RS256 is the same for the same claims, and takes 2 ms. */
let last: { key: CryptoKey; input: string; token: string } | undefined;

/** Makes a compact JWS of `claims`. */
export async function signJwt(
  claims: Record<string, unknown>,
  key: Pick<SigningKey, "kid" | "privateKey">,
  { alg = algOf(key.privateKey), secret = "validmind-test", header = {} }: SignOptions = {},
): Promise<string> {
  const head = encodeJson({ alg, kid: key.kid, ...header });
  const input = `${head}.${encodeJson(claims)}`;
  if (alg === "none") return `${input}.`;
  const signer = alg === "HS256" ? await hmacKey(secret) : key.privateKey;
  if (alg === "RS256" && last?.key === signer && last.input === input) return last.token;
  const params = { name: signer.algorithm.name, hash: "SHA-256" };
  const signature = await crypto.subtle.sign(params, signer, encode(input));
  const token = `${input}.${encodeBase64(new Uint8Array(signature))}`;
  last = { key: signer, input, token };
  return token;
}

function algOf({ algorithm }: CryptoKey): "RS256" | "ES256" {
  return algorithm.name === RSA.name ? "RS256" : "ES256";
}

/** The claims of an ES256 JWT that `jwk` has signed, or `undefined`. Expiry is not looked at. */
export async function verifyJwt(
  token: string,
  jwk: JsonWebKey,
): Promise<Record<string, unknown> | undefined> {
  try {
    const [head, claims, signature] = token.split(".") as [string, string, string];
    if (decodeJson(head).alg !== "ES256") return undefined;
    const { kty, crv, x, y } = jwk as { kty: string; crv: string; x: string; y: string };
    const bare = { kty, crv, x, y };
    const key = await crypto.subtle.importKey("jwk", bare, KINDS.ES256, false, ["verify"]);
    const signed = encode(`${head}.${claims}`);
    const params = { name: "ECDSA", hash: "SHA-256" };
    const isValid = await crypto.subtle.verify(params, key, decodeBase64(signature), signed);
    return isValid ? decodeJson(claims) : undefined;
  } catch {
    return undefined; // no JWT
  }
}

function hmacKey(secret: string): Promise<CryptoKey> {
  const params = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", encode(secret), params, false, ["sign"]);
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function encodeBase64(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function encodeJson(value: Record<string, unknown>): string {
  return encodeBase64(encode(JSON.stringify(value)));
}

function decodeBase64(part: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(part, { alphabet: "base64url" });
}

function decodeJson(part: string): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(decodeBase64(part)));
}
