import * as oauth from "oauth4webapi";
import { parseObject, toHex } from "../../backends/common/printable.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { type Message, type Term, words } from "../../backends/credentials_backend_error.ts";
import { isEntraIssuer } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { ClientAuthOptions } from "../options/resolve_identity.ts";
import { ASSERTION_FILE, CLIENT_ID, KEY_FILE, SECRET } from "./error.ts";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/** RFC 7518, sections 3.3 and 3.5. */
const LEAST_BITS = 2048;
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: Readonly<Record<string, string>> = {
  ES256: "P-256",
  ES384: "P-384",
  ES512: "P-521",
};
const KEY_ADVICE =
  "Give a private RSA (2048 bits or more), EC or Ed25519 key as a JWK, or as PEM by: " +
  "openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW";

/** How a client proves to a provider who it is: RFC 6749, section 2.3. */
export class ClientAuthentication {
  readonly #options: ClientAuthOptions;
  /** Whether the client proves itself in the second of its two ways. */
  isTurned = false;

  constructor(options: ClientAuthOptions) {
    this.#options = options;
  }

  /** Whether the client has nothing to prove itself by: a public client. */
  get isNone(): boolean {
    return Object.keys(this.#options).length === 0;
  }

  /**
   * The same for oauth4webapi. A secret goes into the form where the provider takes it there, since the
   * form leaves no doubt about the encoding; else into the header.
   */
  at(server: oauth.AuthorizationServer) {
    const { issuer, token_endpoint_auth_methods_supported: methods } = server;
    const { clientSecret } = this.#options;
    const keyFile = this.#file("clientKeyFile");
    const assertionFile = this.#file("clientAssertionFile");
    if (keyFile !== undefined) {
      const { token_endpoint } = server;
      const audience = this.isTurned || isEntraIssuer(issuer) ? token_endpoint : undefined;
      return byClientKey(keyFile, audience);
    }
    if (assertionFile !== undefined) return byAssertionFile(assertionFile);
    if (clientSecret === undefined) return oauth.None();
    // A provider that states no method takes the header: OpenID Connect Discovery, section 3.
    return methods?.includes("client_secret_post") && !this.isTurned
      ? oauth.ClientSecretPost(clientSecret)
      : oauth.ClientSecretBasic(clientSecret);
  }

  /**
   * Has the client prove itself in the other way after the provider has refused one: a secret in the
   * header instead of the form, where the provider states both, and a signed assertion for the token
   * endpoint instead of the issuer. Ory Hydra takes a secret only the way that the client is registered
   * with, and an assertion for the token endpoint only.
   *
   * @param isTurned Whether to take the second way.
   * @returns Whether the client has another way, so that the request is worth another try.
   */
  turn(server: oauth.AuthorizationServer, isTurned: boolean): boolean {
    const { clientSecret, clientKeyFile } = this.#options;
    const methods = server.token_endpoint_auth_methods_supported;
    const isBoth = ["client_secret_post", "client_secret_basic"]
      .every((name) => methods?.includes(name));
    const hasOther = clientSecret !== undefined && isBoth ||
      clientKeyFile !== undefined && isOwnEndpoint(server);
    if (hasOther) this.isTurned = isTurned;
    return hasOther;
  }

  /** The advice where the provider refuses the client; `undefined` for a public one. */
  advice(): Message | undefined {
    const { clientSecret } = this.#options;
    if (clientSecret !== undefined) {
      return words`Check ${CLIENT_ID}, and that ${SECRET} is its secret (a public client has none).`;
    }
    const keyFile = this.#file("clientKeyFile");
    if (keyFile !== undefined) {
      const key = words`the public key of ${keyFile.path} (${keyFile.source})`;
      return words`Check ${CLIENT_ID}, that ${key} is registered with the same kid, and the clock.`;
    }
    const assertionFile = this.#file("clientAssertionFile");
    return assertionFile &&
      words`Check ${CLIENT_ID} and the JWT in ${assertionFile.path} (${ASSERTION_FILE}): it must not
        have ended (exp), and the provider has to trust its iss, sub and aud for this client.`;
  }

  #file(option: "clientKeyFile" | "clientAssertionFile"): ClientFile | undefined {
    const path = this.#options[option];
    if (!path) return undefined;
    return { path, source: option === "clientKeyFile" ? KEY_FILE : ASSERTION_FILE };
  }
}

/**
 * Whether the token endpoint, as the issuer's own, may be the audience in place of the issuer. An
 * assertion for another one would serve whoever names that in a discovery document, and gets the
 * assertion at a further endpoint: the reason why the issuer is the audience
 * (draft-ietf-oauth-rfc7523bis).
 */
function isOwnEndpoint({ issuer, token_endpoint = "" }: oauth.AuthorizationServer): boolean {
  const [own, endpoint] = [issuer, token_endpoint].map((text) => URL.parse(text)?.origin);
  return own !== undefined && own === endpoint && !isEntraIssuer(issuer);
}

/** A file that holds the client's key or assertion. */
interface ClientFile {
  readonly path: string;
  /** The option and the variable, for messages. */
  readonly source: Term | string;
}

/**
 * The text of a file with a secret, without outer white space.
 *
 * @throws {ValidMindAuthError} `client_auth_unusable`, `permission_required`.
 */
export function readClientFile(file: ClientFile, groupMayRead = false): string {
  const text = readPrivateFile(file.path, {
    what: "a key or a token",
    maxBytes: 64 * 1024,
    forbiddenMode: groupMayRead ? 0o027 : 0o077,
    fail: (reason, advice, cause) => unusable(file, reason, advice, cause),
  }).trim();
  if (text !== "") return text;
  throw unusable(file, "it is empty", "Have it filled by the program that makes it.");
}

/** The error for a file of the client that cannot be used. */
function unusable(
  { path, source }: ClientFile,
  reason: string,
  advice: string,
  cause?: unknown,
): ValidMindAuthError {
  const isDenied = cause instanceof Error && cause.name === "NotCapable";
  return new ValidMindAuthError(
    isDenied ? "permission_required" : "client_auth_unusable",
    words`Cannot use ${path} of ${source}: ${reason}. ${advice}`,
  );
}

/**
 * The client proves who it is by an assertion that somebody else has made: RFC 7523, section 2.2. The
 * file is read anew for each request, since the platform replaces it all the time.
 */
function byAssertionFile(file: ClientFile): oauth.ClientAuth {
  return (_server, { client_id }, body) => {
    body.set("client_id", client_id);
    body.set("client_assertion_type", ASSERTION_TYPE);
    body.set("client_assertion", readAssertion(file));
  };
}

/** The JWT in the file. */
function readAssertion(file: ClientFile): string {
  const text = readClientFile(file, true);
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  throw unusable(file, "it is not one JWT", "Check the path, and the program that makes it.");
}

/** The object identifier rsaEncryption (RFC 8017), in DER and hexadecimal. */
const RSA_OID = "2a864886f70d010101";

/** A client's private key, and the parts of the assertion's header that depend on it. */
interface ClientKey {
  key: CryptoKey;
  header: { alg: string; kid?: string; "x5t#S256"?: string };
}

/**
 * The client proves who it is by a signed assertion: `private_key_jwt`, RFC 7523. The key is read anew
 * for each request, so that a renewed one is used at once.
 *
 * @param audience The audience of the assertion in place of the issuer, which all providers have to know
 * by RFC 7523, section 3, and some do not.
 */
function byClientKey(file: ClientFile, audience?: string): oauth.ClientAuth {
  return async (server, client, body, headers) => {
    const offered = server.token_endpoint_auth_signing_alg_values_supported;
    const { key, header } = await readClientKey(file, offered);
    const sign = oauth.PrivateKeyJwt(key, {
      [oauth.modifyAssertion](own, claims) {
        Object.assign(own, header);
        if (audience !== undefined) claims.aud = audience;
      },
    });
    await sign(server, client, body, headers);
  };
}

/**
 * Reads a client's key: a JWK, or PKCS#8 as PEM, with or without a certificate beside it.
 *
 * @param offered The algorithms that the provider states. A key does not say which of RSA's is meant,
 * and Ed25519 has two names.
 */
async function readClientKey(file: ClientFile, offered?: readonly string[]): Promise<ClientKey> {
  const text = readClientFile(file);
  const jwk = parseObject(text);
  const der = decodePem(text);
  const { kid, "x5t#S256": thumbprint } = jwk ?? {};
  const { key_ops: _, use: _1, ext: _2, alg: stated, ...parts } = jwk ?? {};
  for (const alg of typeof stated === "string" ? [stated] : candidates(der, offered)) {
    const key = await importKey(jwk ? parts as JsonWebKey : der, alg);
    if (key === undefined) continue;
    return {
      key,
      header: {
        alg,
        ...(typeof kid === "string" && { kid }),
        ...(typeof thumbprint === "string" && { "x5t#S256": thumbprint }),
      },
    };
  }
  throw unusable(file, "it is no private key to sign with", KEY_ADVICE);
}

/** The bytes of a private key in PEM. */
function decodePem(text: string): Uint8Array<ArrayBuffer> | undefined {
  const [, body] =
    /-----BEGIN PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END PRIVATE KEY-----/.exec(text) ?? [];
  try {
    return body && Uint8Array.from(atob(body), (char) => char.charCodeAt(0)) || undefined;
  } catch {
    return undefined; // the error may quote the key
  }
}

/** `undefined` where the key is of another kind, too short, or damaged. */
async function importKey(
  data: JsonWebKey | Uint8Array<ArrayBuffer> | undefined,
  alg: string,
): Promise<CryptoKey | undefined> {
  const algorithm = signatureAlgorithm(alg);
  if (data === undefined || algorithm === undefined) return undefined;
  try {
    const key = data instanceof Uint8Array
      ? await crypto.subtle.importKey("pkcs8", data, algorithm, false, ["sign"])
      : await crypto.subtle.importKey("jwk", data, algorithm, false, ["sign"]);
    const { modulusLength = LEAST_BITS } = key.algorithm as Partial<RsaKeyAlgorithm>;
    return modulusLength < LEAST_BITS ? undefined : key;
  } catch {
    return undefined; // the error may quote the key
  }
}

/**
 * The algorithms of each kind of key. RS256, which every provider that signs knows, unless the provider
 * states other ones of RSA alone. RFC 9864 has renamed EdDSA, and most know the former name alone. Deno
 * 2.7 crashes where an RSA key is taken for one of another kind.
 */
function candidates(
  der: Uint8Array | undefined,
  offered: readonly string[] = ["RS256"],
): string[] {
  const rsa = offered.includes("RS256") ? undefined : offered.find((alg) => RSA.includes(alg));
  if (der !== undefined && toHex(der).includes(RSA_OID)) return [rsa ?? "RS256"];
  const isRenamed = offered.includes("Ed25519") && !offered.includes("EdDSA");
  return [rsa ?? "RS256", ...Object.keys(CURVES), isRenamed ? "Ed25519" : "EdDSA"];
}

/** A signature algorithm with a public key; `undefined` for any other, `none` and HMAC among them. */
export function signatureAlgorithm(alg: unknown) {
  if (typeof alg !== "string") return undefined;
  if (alg === "EdDSA" || alg === "Ed25519") return { name: "Ed25519" };
  if (Object.hasOwn(CURVES, alg)) return { name: "ECDSA", namedCurve: CURVES[alg]! };
  if (!RSA.includes(alg)) return undefined;
  const name = alg.startsWith("PS") ? "RSA-PSS" : "RSASSA-PKCS1-v1_5";
  return { name, hash: `SHA-${alg.slice(2)}` };
}
