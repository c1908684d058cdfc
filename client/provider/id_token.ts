import * as oauth from "oauth4webapi";
import { toBase64 } from "../../backends/common/bytes.ts";
import type { Json } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import { readClaims } from "../entry/bearer.ts";
import { MAX_SKEW_SECONDS } from "./fetch.ts";

/** The event that makes a token a Logout Token: OpenID Connect Back-Channel Logout 1.0. */
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";

/**
 * The difference of the clocks by which an ID token is judged, in seconds; 0 above 15 minutes.
 *
 * The times in an ID token are the provider's. A wide tolerance would let them pass on a clock that
 * is off, and with them a token that has ended. Measured by the provider's own clock they are judged
 * to the second on any clock. Its sources are as trustworthy as the token, since all come over the same
 * TLS connection. An attacker who can set them back by up to 15 minutes can as well sign a new token. An
 * ID token of that age still counts as expired where it is the bearer.
 */
export function judgedSkew(skew = 0) {
  return Math.abs(skew) <= MAX_SKEW_SECONDS ? skew : 0;
}

/**
 * Holds the ID token of a processed answer to the rules that oauth4webapi leaves to its caller: OpenID
 * Connect Core, sections 2, 3.1.3.7 and 3.1.3.8, and the types of tokens of RFC 8725, section 3.11.
 *
 * | claim | rule |
 * |---|---|
 * | `azp` | is this client, also beside a single audience |
 * | `aud` | further audiences need an `azp` (oauth4webapi's check) |
 * | `sub` | is not empty |
 * | `iat` | is at most 15 minutes ahead of the provider's clock |
 * | `at_hash` | is the hash of the access token, where it is there |
 * | `alg` | has a public key: not `none`, and no secret |
 * | `typ` | is not another kind, such as `at+jwt` or `logout+jwt`; a logout event is refused as well |
 *
 * `acr`, `amr`, `auth_time` and an old `iat` are not judged. An API that demands them judges its own token.
 *
 * @param now The provider's time, in seconds since the epoch.
 */
export async function assertIdToken(
  answer: oauth.TokenEndpointResponse,
  clientId: string,
  now: number,
) {
  const claims = oauth.getValidatedIdTokenClaims(answer);
  if (claims === undefined) return;
  const { alg, typ } = readClaims(answer.id_token!, 0) ?? {};
  if (!signatureAlgorithm(alg)) {
    throw unfit(`it is not signed by a public key (alg ${printable(String(alg))})`);
  }
  if (isOtherKind(typ, claims)) throw unfit("it is a token of another kind");
  if (claims.azp !== undefined && claims.azp !== clientId) throw unfit("azp is another client");
  if (claims.sub === "") throw unfit("sub is empty");
  if (claims.iat > now + MAX_SKEW_SECONDS) {
    throw unfit("iat is far in the future", oauth.JWT_TIMESTAMP_CHECK);
  }
  if (claims.at_hash === undefined) return;
  if (claims.at_hash !== await accessTokenHash(answer.access_token, alg)) {
    throw unfit("at_hash is not the hash of the access token");
  }
}

/** Tokens of other kinds name theirs: RFC 9068, RFC 9449, RFC 9701, Back-Channel Logout. */
function isOtherKind(typ: unknown, { events }: oauth.IDToken) {
  if (typeof events === "object" && events !== null && LOGOUT_EVENT in events) return true;
  if (typ === undefined) return false;
  return typeof typ !== "string" || /\+jwt$/i.test(typ.trim());
}

/** The left half of the hash by the algorithm of the signature (EdDSA: SHA-512), in base64url. */
async function accessTokenHash(accessToken: string, alg: unknown) {
  const [size = "512"] = /(256|384)$/.exec(String(alg)) ?? [];
  const bytes = new TextEncoder().encode(accessToken);
  const hash = new Uint8Array(await crypto.subtle.digest(`SHA-${size}`, bytes));
  const half = toBase64(hash.subarray(0, hash.length / 2));
  return half.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** An error as oauth4webapi throws it for a claim. The caller gives it a code and words. */
function unfit(reason: string, code: string = oauth.JWT_CLAIM_COMPARISON) {
  return Object.assign(new Error(reason), { code });
}

/** Keys that one signature is tried with at most. A provider has two or three. */
const MAX_KEYS = 8;

/**
 * Whether the ID token in a processed answer is signed by one of a provider's keys. The key of its `kid` is
 * only the first to try: Ory Hydra keeps the `kid` where it replaces the key.
 */
export async function isSignedByOne(
  server: oauth.AuthorizationServer,
  response: Response,
  idToken: string,
  keys: readonly Json[],
) {
  const { alg, kid } = readClaims(idToken, 0) ?? {};
  const kty = signatureAlgorithm(alg)?.kty;
  const fitting = keys.filter((key) => key.kty === kty && (key.alg ?? alg) === alg);
  const isNamed = (key: Json) => Number(key.kid === kid);
  const inOrder = fitting.toSorted((one, other) => isNamed(other) - isNamed(one));
  for (const key of inOrder.slice(0, MAX_KEYS)) {
    // Each as the only key of a server of its own: oauth4webapi keeps the keys of a server.
    const isSigner = await oauth.validateApplicationLevelSignature({ ...server }, response, {
      [oauth.customFetch]: () => Promise.resolve(Response.json({ keys: [{ ...key, kid }] })),
      [oauth.allowInsecureRequests]: true, // nothing is requested
    }).then(() => true, () => false); // for another use, too short, damaged, or not the signer
    if (isSigner) return true;
  }
  return false;
}

/** The error for an ID token that none of the provider's keys has signed. */
export function noSigner(): Error {
  return unfit("its signature fits no key of the provider", oauth.KEY_SELECTION);
}

/** The algorithms of RSA keys. */
export const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** The curves of EC keys by the names of algorithms. */
export const CURVES: Readonly<Record<string, string>> = {
  ES256: "P-256",
  ES384: "P-384",
  ES512: "P-521",
};

/**
 * A signature algorithm with a public key, and the type of its keys; `undefined` for any other, `none` and
 * HMAC among them.
 */
export function signatureAlgorithm(alg: unknown) {
  if (typeof alg !== "string") return undefined;
  if (alg === "EdDSA" || alg === "Ed25519") return { kty: "OKP", name: "Ed25519" };
  if (Object.hasOwn(CURVES, alg)) return { kty: "EC", name: "ECDSA", namedCurve: CURVES[alg]! };
  if (!RSA.includes(alg)) return undefined;
  const name = alg.startsWith("PS") ? "RSA-PSS" : "RSASSA-PKCS1-v1_5";
  return { kty: "RSA", name, hash: `SHA-${alg.slice(2)}` };
}
