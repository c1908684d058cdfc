import * as oauth from "oauth4webapi";
import { toHex } from "../../backends/common/bytes.ts";
import { causeFrom } from "../../backends/common/foreign_error.ts";
import { parseObject } from "../../backends/common/json.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import { inForm, remember } from "../../backends/common/redaction.ts";
import { isEntraIssuer, isSendable } from "../entry/bearer.ts";
import { named } from "../options/declaration.ts";
import {
  type ClientProof,
  fileWith,
  GITHUB_VARIABLES,
  gitHubJob,
} from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { fileOf, readSecretFile, unusable } from "../options/secret_file.ts";
import type { Endpoint } from "./endpoint.ts";
import { providerFetch } from "./fetch.ts";
import { CURVES, RSA, signatureAlgorithm } from "./id_token.ts";
import { CLIENT_ID } from "./remedy.ts";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ASSERTION = named("clientAssertion");
const ENTRA_AUDIENCE = "api://AzureADTokenExchange";
const ALLOW = 'Run it in a job of GitHub Actions that has the permission "id-token: write".';
/** RFC 7518, sections 3.3 and 3.5. */
const LEAST_BITS = 2048;
const KEY_ADVICE =
  "Give a private key of RSA (2048 bits or more), EC or Ed25519, as a JWK or PEM. To make a PEM file " +
  "of another one: openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW";

/** The means of a request. */
interface Sender {
  readonly runtime: Runtime;
  readonly signal: AbortSignal | undefined;
}

/** The place that the proof of a client comes from. */
interface ProofSource {
  /** For messages. */
  readonly name: string;
  /** Gets the secret, the key or the assertion, which are renewed all the time. */
  get(issuer: string, sender: Sender): string | Promise<string>;
}

/** The ways of the options. */
const WAYS = {
  clientSecret: "secret",
  clientSecretFile: "secret",
  clientKeyFile: "key",
  clientAssertion: "assertion",
  clientAssertionFile: "assertion",
} as const;

/** What {@linkcode clientAuth} gives. */
export type ClientAuth = ReturnType<typeof clientAuth>;

/**
 * How a client proves to a provider who it is: RFC 6749, section 2.3. The variables of a job are read at
 * once: a session may give them back.
 */
export function clientAuth(proof: ClientProof) {
  const way = WAYS[proof.option];
  const { name, get } = sourceOf(proof);
  return {
    /**
     * The proof for oauth4webapi. It is got anew for each request.
     *
     * @param isTurned Whether to take the other way.
     */
    prove(server: oauth.AuthorizationServer, isTurned: boolean, sender: Sender): oauth.ClientAuth {
      return async (...request) => {
        const text = await get(server.issuer, sender);
        if (way === "secret") remember(sender.runtime.secrets, [text]);
        const proofs = {
          secret: () => bySecret(text, server, isTurned),
          key: () => byKey(name, text, server, isTurned),
          assertion: () => byAssertion(name, text),
        };
        const prove = await proofs[way]();
        await prove(...request);
      };
    },
    /**
     * Whether the client can prove itself in another way after the provider has refused one. A secret goes
     * into the header instead of the form, where the provider states both. A signed assertion is for the
     * token endpoint instead of the issuer. Ory Hydra takes a secret only in the way that the client is
     * registered with, and an assertion for the token endpoint only.
     */
    hasOtherWay(server: oauth.AuthorizationServer) {
      if (way === "key") return isOwnEndpoint(server);
      const methods = server.token_endpoint_auth_methods_supported;
      const both = ["client_secret_post", "client_secret_basic"];
      return way === "secret" && both.every((method) => methods?.includes(method));
    },
    /** The advice where the provider refuses the client. */
    advice: `Check ${CLIENT_ID}${adviceFor(name)[way]}`,
  };
}

function adviceFor(name: string) {
  return {
    secret: `, and that ${name} is its secret (a public client has none).`,
    key: ` and the clock. The public key of ${name} has to be registered with the same kid.`,
    assertion: ` and the JWT in ${name}. The JWT must not have ended (exp). The provider has to ` +
      "trust its iss, sub and aud for this client.",
  };
}

function sourceOf(proof: ClientProof): ProofSource {
  const { option, value } = proof;
  const path = fileWith(proof);
  if (path !== undefined) {
    return { name: fileOf(option, path), get: () => readSecretFile(option, path) };
  }
  const name = named(option);
  const job = gitHubJob(proof);
  if (job) return { name, get: (...request) => askGitHub(job, ...request) };
  return { name, get: (_, sender) => textOf(value, sender) };
}

/**
 * A secret goes into the form where the provider takes it there, since the form leaves no doubt about the
 * encoding; else into the header, also where the provider states no method: OpenID Connect Discovery,
 * section 3.
 */
function bySecret(
  secret: string,
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  isTurned: boolean,
) {
  const isByForm = methods?.includes("client_secret_post") && !isTurned;
  return isByForm ? oauth.ClientSecretPost(secret) : byHeader(secret);
}

/**
 * The secret goes into the header in the encoding of forms: RFC 6749, section 2.3.1. oauth4webapi also
 * escapes the marks that forms leave alone, and Gitea, which does not decode the header, knows no client
 * by the id a%2Db.
 */
function byHeader(secret: string): oauth.ClientAuth {
  return (_server, { client_id }, _body, headers) => {
    const pair = [client_id, secret].map(inForm).join(":");
    headers.set("authorization", `Basic ${btoa(pair)}`);
  };
}

/**
 * Whether the token endpoint, as the issuer's own, may be the audience in place of the issuer. An
 * assertion for another one would serve whoever names that in a discovery document, and gets the
 * assertion at a further endpoint: the reason why the issuer is the audience
 * (draft-ietf-oauth-rfc7523bis).
 */
function isOwnEndpoint({ issuer, token_endpoint = "" }: oauth.AuthorizationServer) {
  const [own, endpoint] = [issuer, token_endpoint].map((text) => URL.parse(text)?.origin);
  return own !== undefined && own === endpoint && !isEntraIssuer(issuer);
}

/** The text that the caller gives, as it is or by a function. */
async function textOf(given: ClientProof["value"], { runtime, signal }: Sender) {
  if (typeof given === "string") return given;
  const limits = [AbortSignal.timeout(runtime.timeoutMs), signal ?? []].flat();
  try {
    const end = AbortSignal.any(limits);
    return String(await untilAborted(Promise.try(given), end));
  } catch (error) {
    signal?.throwIfAborted();
    throw unusable(ASSERTION, "the function failed", "See the cause.", causeFrom(error));
  }
}

/** The endpoint of GitHub Actions for assertions about a job. */
const GITHUB: Endpoint = {
  name: "assertion",
  at: "find",
  normalize(status, json) {
    if (status === 429 || status >= 500) return undefined;
    const { value } = json ?? {};
    if (status === 200 && typeof value === "string") return { status, body: { value } };
    throw unusable(ASSERTION, `GitHub answered with status ${status} and no token`, ALLOW);
  },
};

/** Asks GitHub Actions for an assertion about the job, with the token of the job. */
async function askGitHub(
  { audience, address, token }: NonNullable<ReturnType<typeof gitHubJob>>,
  issuer: string,
  { runtime, signal }: Sender,
) {
  if (!address || !isSendable(token)) {
    throw unusable(ASSERTION, `${GITHUB_VARIABLES.join(" and ")} are not both set`, ALLOW);
  }
  const url = new URL(address);
  const usual = isEntraIssuer(issuer) ? ENTRA_AUDIENCE : issuer;
  url.searchParams.set("audience", audience || usual);
  const fetch = providerFetch(GITHUB, { ...runtime }); // a copy, since its clock is not the provider's
  const headers = { accept: "application/json", authorization: `Bearer ${token}` };
  const response = await fetch(url.href, { headers, signal });
  const { value } = await response.json();
  return value;
}

/** The client proves who it is by an assertion that somebody else has made: RFC 7523, section 2.2. */
function byAssertion(name: string, text: string): oauth.ClientAuth {
  const assertion = text.trim();
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(assertion)) {
    throw unusable(name, "it is not one JWT", "Check it, and the program that makes it.");
  }
  return (_server, { client_id }, body) => {
    body.set("client_id", client_id);
    body.set("client_assertion_type", ASSERTION_TYPE);
    body.set("client_assertion", assertion);
  };
}

/** The object identifier rsaEncryption (RFC 8017), in DER and hexadecimal. */
const RSA_OID = "2a864886f70d010101";

/**
 * The client proves who it is by an assertion that its key signs: `private_key_jwt`, RFC 7523. Its
 * audience is the issuer, which all providers have to know by section 3, and some do not.
 *
 * @param text A JWK, or PKCS#8 as PEM, with or without a certificate beside it.
 */
async function byKey(
  name: string,
  text: string,
  server: oauth.AuthorizationServer,
  isTurned: boolean,
) {
  const jwk = parseObject(text);
  const der = decodePem(text);
  const { key_ops: _, use: _1, ext: _2, alg: stated, ...parts } = jwk ?? {};
  const offered = server.token_endpoint_auth_signing_alg_values_supported;
  const data = (jwk && parts) ?? der;
  const algorithms = typeof stated === "string" ? [stated] : candidates(der, offered);
  for (const alg of algorithms) {
    const key = await importKey(data, alg);
    if (!key) continue;
    return oauth.PrivateKeyJwt(key, {
      [oauth.modifyAssertion](header, claims) {
        header.alg = alg;
        for (const member of ["kid", "x5t#S256"]) {
          if (typeof jwk?.[member] === "string") header[member] = jwk[member];
        }
        if (isTurned || isEntraIssuer(server.issuer)) claims.aud = server.token_endpoint;
      },
    });
  }
  throw unusable(name, "it is not a private key to sign with", KEY_ADVICE);
}

/** The bytes of a private key in PEM. */
function decodePem(text: string) {
  const [, body] =
    /-----BEGIN PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END PRIVATE KEY-----/.exec(text) ?? [];
  try {
    return body && Uint8Array.from(atob(body), (char) => char.charCodeAt(0)) || undefined;
  } catch {
    return undefined; // the error may quote the key
  }
}

/** `undefined` where the key is of another kind, too short, or damaged. */
async function importKey(data: JsonWebKey | Uint8Array<ArrayBuffer> | undefined, alg: string) {
  const algorithm = signatureAlgorithm(alg);
  if (!data || !algorithm) return undefined;
  try {
    const format = data instanceof Uint8Array ? "pkcs8" : "jwk";
    const jwk = data as JsonWebKey; // or the bytes of the other format
    const key = await crypto.subtle.importKey(format as "jwk", jwk, algorithm, false, ["sign"]);
    const { modulusLength = LEAST_BITS } = key.algorithm as Partial<RsaKeyAlgorithm>;
    if (modulusLength >= LEAST_BITS) return key;
  } catch {
    // the error may quote the key
  }
  return undefined;
}

/**
 * The algorithms of each kind of key, since a key does not say which of RSA's is meant: RS256, which
 * every provider that signs knows, unless the provider states other ones of RSA alone. RFC 9864 has
 * renamed EdDSA, and most know the former name alone. Deno 2.7 crashes where an RSA key is taken for one
 * of another kind.
 */
function candidates(der: Uint8Array | undefined, offered: readonly string[] = ["RS256"]) {
  const isOffered = (alg: string) => RSA.includes(alg) && offered.includes(alg);
  const rsa = ["RS256", ...offered].find(isOffered) ?? "RS256";
  if (der && toHex(der).includes(RSA_OID)) return [rsa];
  const edwards = ["EdDSA", "Ed25519"].find((alg) => offered.includes(alg)) ?? "EdDSA";
  return [rsa, ...Object.keys(CURVES), edwards];
}
