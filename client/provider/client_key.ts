import * as oauth from "oauth4webapi";
import { parseObject } from "../../backends/common/printable.ts";
import { type ClientFile, readClientFile, unusable } from "./client_file.ts";

type Algorithm = RsaHashedImportParams | EcKeyImportParams | { name: "Ed25519" };

/** A client's private key, and the parts of the assertion's header that depend on it. */
interface ClientKey {
  key: CryptoKey;
  header: { alg: string; kid?: string; "x5t#S256"?: string };
}

const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: Readonly<Record<string, string>> = {
  ES256: "P-256",
  ES384: "P-384",
  ES512: "P-521",
};
const PKCS8_ADVICE = "Convert it: openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW";

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
 * Reads a client's key.
 *
 * @param offered The algorithms that the provider states. A PEM file does not say which of RSA's is
 * meant, and Ed25519 has two names.
 */
export async function readClientKey(
  file: ClientFile,
  offered?: readonly string[],
): Promise<ClientKey> {
  const text = readClientFile(file);
  const client = text.startsWith("{")
    ? await fromJwk(file, text, offered)
    : await fromPem(file, text, offered);
  const { modulusLength: bits = LEAST_BITS } = client.key.algorithm as Partial<RsaKeyAlgorithm>;
  if (bits < LEAST_BITS) {
    throw unusable(file, `its RSA key has ${bits} bits`, `Make one of ${LEAST_BITS} or more.`);
  }
  if ((client.key.algorithm as Partial<EcKeyAlgorithm>).namedCurve === CURVES.ES512) {
    await trySign(file, client.key);
  }
  return client;
}

/** Older Denos take a key of this curve, and then do not sign by it. */
async function trySign(file: ClientFile, key: CryptoKey): Promise<void> {
  try {
    await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-512" }, key, new Uint8Array());
  } catch {
    // The error may quote the key.
    const advice = "Give an RSA, P-256, P-384 or Ed25519 key, or run: deno upgrade";
    throw unusable(file, "this Deno does not sign by P-521", advice);
  }
}

/** RFC 7518, sections 3.3 and 3.5. */
const LEAST_BITS = 2048;

async function fromJwk(
  file: ClientFile,
  text: string,
  offered: readonly string[] | undefined,
): Promise<ClientKey> {
  const jwk = parseObject(text);
  if (jwk === undefined) throw unusable(file, "it is no whole JSON", "Write it anew.");
  if (Array.isArray(jwk.keys)) {
    throw unusable(file, "it is a set of keys", "Put the one private key (JWK) into it.");
  }
  if (jwk.kty === "oct") {
    throw unusable(file, "it is a shared secret (oct)", "Give a secret as clientSecret.");
  }
  if (typeof jwk.d !== "string") {
    throw unusable(file, "it is a public key", "Give the private key that belongs to it.");
  }
  const alg = typeof jwk.alg === "string" ? jwk.alg : algorithmOf(jwk, offered);
  const algorithm = alg === undefined ? undefined : toAlgorithm(alg);
  if (alg === undefined || algorithm === undefined) {
    throw unusable(file, "its kind or alg is none to sign with", kinds());
  }
  const { kid, "x5t#S256": thumbprint } = jwk;
  const { key_ops: _, use: _1, ext: _2, alg: _3, ...parts } = jwk;
  const key = await importKey(
    file,
    () => crypto.subtle.importKey("jwk", parts as JsonWebKey, algorithm, false, ["sign"]),
  );
  return {
    key,
    header: {
      alg,
      ...(typeof kid === "string" && { kid }),
      ...(typeof thumbprint === "string" && { "x5t#S256": thumbprint }),
    },
  };
}

function algorithmOf(
  { kty, crv }: Record<string, unknown>,
  offered: readonly string[] | undefined,
): string | undefined {
  if (kty === "RSA") return rsaAlgorithm(offered);
  if (crv === "Ed25519") return edwardsAlgorithm(offered);
  return Object.keys(CURVES).find((alg) => CURVES[alg] === crv);
}

async function fromPem(
  file: ClientFile,
  text: string,
  offered: readonly string[] | undefined,
): Promise<ClientKey> {
  const der = decodePem(file, text);
  const algs = [rsaAlgorithm(offered), ...Object.keys(CURVES), edwardsAlgorithm(offered)];
  for (const alg of algs) {
    try {
      const algorithm = toAlgorithm(alg)!;
      const key = await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
      return { key, header: { alg } };
    } catch {
      continue; // a key of another kind; the error may quote it
    }
  }
  throw unusable(file, "its key is damaged, or of no kind to sign with", kinds());
}

/** The bytes of a PEM file. A file with a certificate beside the key is taken, too. */
function decodePem(file: ClientFile, text: string): Uint8Array<ArrayBuffer> {
  const [, body] =
    /-----BEGIN PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END PRIVATE KEY-----/.exec(text) ?? [];
  if (body !== undefined) {
    try {
      return Uint8Array.from(atob(body.replace(/\s+/g, "")), (char) => char.charCodeAt(0));
    } catch {
      throw unusable(file, "its PEM is damaged", "Write it anew.");
    }
  }
  const [, kind] = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text) ?? [];
  switch (kind) {
    case "RSA PRIVATE KEY":
    case "EC PRIVATE KEY":
      throw unusable(file, `it has the old form "${kind}"`, PKCS8_ADVICE);
    case "ENCRYPTED PRIVATE KEY":
      throw unusable(file, "its key is encrypted, and nobody is there to ask", PKCS8_ADVICE);
    case "OPENSSH PRIVATE KEY":
      throw unusable(file, "it is a key for SSH", "Make one: openssl genpkey -algorithm RSA");
    case "PUBLIC KEY":
    case "RSA PUBLIC KEY":
    case "CERTIFICATE":
      throw unusable(file, "it holds no private key", "Give the private key that belongs to it.");
  }
  throw unusable(file, "it is neither PEM (PKCS#8) nor a JWK", "Check the path.");
}

/** RS256 unless the provider states other ones alone: every provider that signs knows it. */
function rsaAlgorithm(offered: readonly string[] | undefined): string {
  if (offered === undefined || offered.includes("RS256")) return "RS256";
  return offered.find((alg) => RSA.includes(alg)) ?? "RS256";
}

/** RFC 9864 has renamed EdDSA. Most providers know the former name alone. */
function edwardsAlgorithm(offered: readonly string[] | undefined): string {
  return offered?.includes("Ed25519") && !offered.includes("EdDSA") ? "Ed25519" : "EdDSA";
}

function toAlgorithm(alg: string): Algorithm | undefined {
  if (alg === "EdDSA" || alg === "Ed25519") return { name: "Ed25519" };
  if (Object.hasOwn(CURVES, alg)) return { name: "ECDSA", namedCurve: CURVES[alg]! };
  if (!RSA.includes(alg)) return undefined;
  const name = alg.startsWith("PS") ? "RSA-PSS" : "RSASSA-PKCS1-v1_5";
  return { name, hash: `SHA-${alg.slice(2)}` };
}

async function importKey(file: ClientFile, run: () => Promise<CryptoKey>): Promise<CryptoKey> {
  try {
    return await run();
  } catch {
    // The error may quote the key.
    throw unusable(file, "its key is damaged, or not of the kind that its alg says", kinds());
  }
}

function kinds(): string {
  return "Give an RSA, P-256, P-384, P-521 or Ed25519 key.";
}
