import * as oauth from "oauth4webapi";
import { parseObject } from "../../backends/common/printable.ts";
import { type ClientFile, readClientFile, unusable } from "./client_file.ts";

/** A client's private key, and the parts of the assertion's header that depend on it. */
interface ClientKey {
  key: CryptoKey;
  header: { alg: string; kid?: string; "x5t#S256"?: string };
}

/** RFC 7518, sections 3.3 and 3.5. */
const LEAST_BITS = 2048;
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: Readonly<Record<string, string>> = {
  ES256: "P-256",
  ES384: "P-384",
  ES512: "P-521",
};
const ADVICE = "Give a private RSA, EC or Ed25519 key as a JWK, or as PEM by: " +
  "openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW";

/**
 * The client proves who it is by a signed assertion: `private_key_jwt`, RFC 7523. The key is read anew
 * for each request, so that a renewed one is used at once.
 *
 * @param audience The audience of the assertion in place of the issuer, which all providers have to know
 * by RFC 7523, section 3, and some do not.
 */
export function byClientKey(file: ClientFile, audience?: string): oauth.ClientAuth {
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
  for (const alg of typeof stated === "string" ? [stated] : candidates(offered)) {
    const key = await importKey(jwk ? parts as JsonWebKey : der, alg);
    if (key === undefined) continue;
    const { modulusLength: bits = LEAST_BITS } = key.algorithm as Partial<RsaKeyAlgorithm>;
    if (bits < LEAST_BITS) {
      throw unusable(file, `its RSA key has ${bits} bits`, `Make one of ${LEAST_BITS} or more.`);
    }
    return {
      key,
      header: {
        alg,
        ...(typeof kid === "string" && { kid }),
        ...(typeof thumbprint === "string" && { "x5t#S256": thumbprint }),
      },
    };
  }
  throw unusable(file, "it is no private key to sign with", ADVICE);
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

/** `undefined` where the key is of another kind, or damaged. */
async function importKey(
  data: JsonWebKey | Uint8Array<ArrayBuffer> | undefined,
  alg: string,
): Promise<CryptoKey | undefined> {
  const algorithm = toAlgorithm(alg);
  if (data === undefined || algorithm === undefined) return undefined;
  try {
    return data instanceof Uint8Array
      ? await crypto.subtle.importKey("pkcs8", data, algorithm, false, ["sign"])
      : await crypto.subtle.importKey("jwk", data, algorithm, false, ["sign"]);
  } catch {
    return undefined; // the error may quote the key
  }
}

/**
 * The algorithms of each kind of key. RS256, which every provider that signs knows, unless the provider
 * states other ones of RSA alone. RFC 9864 has renamed EdDSA, and most know the former name alone.
 */
function candidates(offered: readonly string[] = ["RS256"]): string[] {
  const rsa = offered.includes("RS256") ? undefined : offered.find((alg) => RSA.includes(alg));
  const isRenamed = offered.includes("Ed25519") && !offered.includes("EdDSA");
  return [rsa ?? "RS256", ...Object.keys(CURVES), isRenamed ? "Ed25519" : "EdDSA"];
}

function toAlgorithm(alg: string) {
  if (alg === "EdDSA" || alg === "Ed25519") return { name: "Ed25519" };
  if (Object.hasOwn(CURVES, alg)) return { name: "ECDSA", namedCurve: CURVES[alg]! };
  if (!RSA.includes(alg)) return undefined;
  const name = alg.startsWith("PS") ? "RSA-PSS" : "RSASSA-PKCS1-v1_5";
  return { name, hash: `SHA-${alg.slice(2)}` };
}
