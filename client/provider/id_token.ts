import * as oauth from "oauth4webapi";
import type { Runtime } from "../options/resolve_options.ts";
import { isObject, printable, toBase64 } from "../../backends/common/printable.ts";
import { readClaims } from "../entry.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import { MAX_SKEW_SECONDS } from "./fetch.ts";

/** Tries to get the keys. */
const MAX_TRIES = 3;

/** The event that makes a token a Logout Token: OpenID Connect Back-Channel Logout 1.0. */
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";

/**
 * The difference of the clocks by which an ID token is judged, in seconds; 0 above 15 minutes.
 *
 * The times in an ID token are the provider's. A wide tolerance would let them pass on a clock that
 * is off, and with them a token that has ended; measured by the provider's own clock they are judged
 * to the second on any clock. Its sources are as trustworthy as the token, since all come over the same
 * TLS connection: who can set them back by up to 15 minutes, to have an ID token of that age taken, can
 * as well sign a new one. Such a token still counts as expired where it is the bearer.
 */
export function judgedSkew(skew: number | undefined): number {
  return skew !== undefined && Math.abs(skew) <= MAX_SKEW_SECONDS ? skew : 0;
}

/** The client and the time by which an ID token is judged. */
export interface IdTokenContext {
  clientId: string;
  /** The provider's time, in seconds since the epoch. */
  now: number;
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
 * | `typ` | is no other kind, such as `at+jwt` or `logout+jwt`; a logout event is refused as well |
 *
 * `acr`, `amr`, `auth_time` and an old `iat` are not judged: this client asks for none of them.
 */
export async function assertIdToken(
  answer: oauth.TokenEndpointResponse,
  { clientId, now }: IdTokenContext,
): Promise<void> {
  const claims = oauth.getValidatedIdTokenClaims(answer);
  if (claims === undefined) return;
  const header = readClaims(answer.id_token!, 0);
  if (header === undefined) throw unfit("its header cannot be read");
  if (/^HS\d/.test(String(header.alg))) {
    throw unfit(
      `it is signed by a secret (${printable(String(header.alg), 20)}, a symmetric algorithm)`,
    );
  }
  if (isOtherKind(header.typ, claims)) throw unfit("it is a token of another kind");
  if (claims.azp !== undefined && claims.azp !== clientId) throw unfit("azp is another client");
  if (claims.sub === "") throw unfit("sub is empty");
  if (claims.iat > now + MAX_SKEW_SECONDS) throw unfit("iat is far in the future");
  if (claims.at_hash === undefined) return;
  if (claims.at_hash !== await hashOf(answer.access_token, header.alg)) {
    throw unfit("at_hash is not the hash of the access token");
  }
}

/** Tokens of other kinds name theirs: RFC 9068, RFC 9449, RFC 9701, Back-Channel Logout. */
function isOtherKind(typ: unknown, { events }: oauth.IDToken): boolean {
  if (typeof events === "object" && events !== null && LOGOUT_EVENT in events) return true;
  if (typ === undefined) return false;
  return typeof typ !== "string" || /\+jwt$/i.test(typ.trim());
}

/** The left half of the hash by the algorithm of the signature (EdDSA: SHA-512), in base64url. */
async function hashOf(accessToken: string, alg: unknown): Promise<string> {
  const [size = "512"] = /(256|384)$/.exec(String(alg)) ?? [];
  const bytes = new TextEncoder().encode(accessToken);
  const hash = new Uint8Array(await crypto.subtle.digest(`SHA-${size}`, bytes));
  const half = toBase64(hash.subarray(0, hash.length / 2));
  return half.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** An error as oauth4webapi throws it for a claim. The caller gives it a code and words. */
function unfit(reason: string): Error {
  return Object.assign(new Error(reason), { code: oauth.JWT_CLAIM_COMPARISON });
}

/** A person as an ID token names one. `sub` is unique only within one issuer. */
export interface Subject {
  iss?: unknown;
  sub: string;
  nonce?: unknown;
}

/**
 * Refuses the ID token of another person: OpenID Connect Core, section 12.2.
 *
 * @param subject The person of the former ID token; `unknown` where that token cannot be read, which
 * must not let anybody's pass.
 * @throws {ValidMindAuthError} `id_token_invalid`.
 */
export function assertSamePerson(
  subject: Subject | "unknown",
  claims: Subject,
  issuer: string,
): void {
  if (subject === "unknown") {
    throw mismatch(issuer, "the stored ID token cannot be read, so nobody knows whose it is");
  }
  // An issuer may change between its forms with and without a trailing slash.
  const [first, second] = [subject, claims].map(({ iss }) => String(iss).replace(/\/$/, ""));
  if (subject.sub !== claims.sub || first !== second) {
    throw mismatch(issuer, "the new ID token is another person's");
  }
  // A nonce that comes back is the one of the sign-in.
  const isOther = claims.nonce !== undefined && claims.nonce !== subject.nonce;
  if (isOther && subject.nonce !== undefined) {
    throw mismatch(issuer, "the new ID token is of another sign-in (nonce)");
  }
}

function mismatch(issuer: string, reason: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_invalid",
    `Cannot refresh the sign-in at ${issuer}: ${reason}. Sign out and sign in again, then ask who ` +
      `runs the provider.`,
  );
}

type SignatureOptions = oauth.ValidateSignatureOptions & {
  signal?: AbortSignal;
  [oauth.customFetch]: NonNullable<oauth.ValidateSignatureOptions[typeof oauth.customFetch]>;
};

/** Checks the signatures of ID tokens by the provider's keys. */
export class IdTokenSignatures {
  readonly #runtime: Runtime;
  /** Stands for a provider in oauth4webapi's memory of keys, after its keys have changed. */
  readonly #renewed = new WeakMap<oauth.AuthorizationServer, oauth.AuthorizationServer>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Checks the signature of the ID token in a processed answer. Kept keys may have been replaced at the
   * provider: where none of them fits, they are fetched once more.
   */
  async check(
    server: oauth.AuthorizationServer,
    response: Response,
    idToken: string,
    request: SignatureOptions,
  ): Promise<void> {
    const kid = readClaims(idToken, 0)?.kid;
    let isFetched = false;
    const options: SignatureOptions = {
      ...request,
      [oauth.customFetch]: async (url, init) => {
        isFetched = true;
        const received = await request[oauth.customFetch](url, init);
        return withKid(received, kid);
      },
    };
    for (let tries = 1;; tries++) {
      try {
        const provider = this.#renewed.get(server) ?? server;
        return await oauth.validateApplicationLevelSignature(provider, response, options);
      } catch (error) {
        if (isWithoutKey(error) && !isFetched) {
          this.#renewed.set(server, { ...server });
          continue;
        }
        if (!(error instanceof ProviderUnavailableError) || tries === MAX_TRIES) throw error;
        await this.#runtime.delay(tries * 500, request.signal);
      }
    }
  }
}

/** The keys, where a single one without an id gets the id that the ID token names: some leave it out. */
async function withKid(response: Response, kid: unknown): Promise<Response> {
  const { keys } = await response.clone().json();
  const isNameless = Array.isArray(keys) && keys.length === 1 && isObject(keys[0]) &&
    keys[0].kid === undefined;
  if (!isNameless || typeof kid !== "string") return response;
  return Response.json({ keys: [{ ...keys[0], kid }] }, { status: response.status });
}

/** Whether no key of a provider has made a signature. */
function isWithoutKey(error: unknown): boolean {
  return error instanceof oauth.OperationProcessingError &&
    (error.code === oauth.KEY_SELECTION || /signature verification/.test(error.message));
}
