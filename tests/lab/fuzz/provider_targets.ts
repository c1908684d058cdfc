import * as fc from "fast-check";
import { assert } from "@std/assert";
import { isSecureUrl } from "../../../backends/common/host.ts";
import { parseObject } from "../../../backends/common/json.ts";
import { ApiTransport } from "../../../client/api/transport.ts";
import { isSendable, type TokenSet } from "../../../client/entry/bearer.ts";
import { authorizeDevice, pollDevice } from "../../../client/provider/device_grant.ts";
import { OidcProvider } from "../../../client/provider/oidc_provider.ts";
import { refreshTokens } from "../../../client/provider/refresh_grant.ts";
import { SECRETS } from "../../support/entries.ts";
import { makeKey, signJwt } from "../../support/jwt.ts";
import {
  damaged,
  httpAnswer,
  json,
  text,
  toResponse,
  value,
  variant,
  withoutSecrets,
} from "./arbitraries.ts";
import { assertPlain, attempt, type FuzzTarget, sharesPiece, target } from "./fuzz_target.ts";

/** The provider. */
export const ISSUER = "https://login.example.com";
const CLIENT = "my-app";
const NOW = Math.floor(Date.now() / 1000);
const SIGNING_KEY = await makeKey();

const DISCOVERY = {
  issuer: ISSUER,
  jwks_uri: `${ISSUER}/jwks`,
  device_authorization_endpoint: `${ISSUER}/device`,
  token_endpoint: `${ISSUER}/token`,
  revocation_endpoint: `${ISSUER}/revoke`,
  id_token_signing_alg_values_supported: ["RS256"],
  code_challenge_methods_supported: ["S256"],
};
const DEVICE = {
  device_code: SECRETS.access,
  user_code: "WDJB-MJHT",
  verification_uri: `${ISSUER}/activate`,
  verification_uri_complete: `${ISSUER}/activate?user_code=WDJB-MJHT`,
  expires_in: 600,
  interval: 5,
};
const TOKENS = {
  access_token: SECRETS.access,
  token_type: "Bearer",
  expires_in: 3600,
  refresh_token: SECRETS.refresh,
  scope: "openid",
};
const CLAIMS = { iss: ISSUER, sub: "a", aud: CLIENT, iat: NOW, exp: NOW + 3600 };
const JWKS = { keys: [SIGNING_KEY.publicJwk] };
const ERROR_FIELDS = ["error", "error_description", "error_uri"];

type Answers = Partial<Record<"discovery" | "jwks" | "device" | "token", () => Response>>;

/** A client of a provider that answers so, and else as it should. */
export function fakeProvider(answers: Answers): OidcProvider {
  const usual: Required<Answers> = {
    discovery: () => Response.json(DISCOVERY),
    jwks: () => Response.json(JWKS),
    device: () => Response.json(DEVICE),
    token: () => Response.json(TOKENS),
  };
  const all = { ...usual, ...answers };
  const answer = (url: string) => {
    if (url.endsWith("/.well-known/openid-configuration")) return all.discovery();
    if (url.endsWith("/jwks")) return all.jwks();
    return url.endsWith("/device") ? all.device() : all.token();
  };
  const runtime = {
    fetch: (url: string | URL | Request) => Promise.resolve(answer(String(url))),
    now: Date.now,
    elapsed: Date.now,
    delay: () => Promise.resolve(),
    timeoutMs: 5000,
    secrets: new Set(),
  } as ConstructorParameters<typeof OidcProvider>[1];
  const identity = { kind: "oidc", issuer: ISSUER, clientId: CLIENT, scope: "openid" } as const;
  return new OidcProvider(identity, runtime);
}

const pollOnce = (from: OidcProvider) =>
  pollDevice(from, {
    deviceCode: SECRETS.extra,
    interval: 5,
    expiresIn: 600,
    code: {
      verificationUri: `${ISSUER}/activate`,
      userCode: "x",
      expiresAt: new Date(),
      issuer: ISSUER,
      scope: "openid",
    },
  });

/** Fails for tokens that no session could use. */
export function assertTokens(tokens: TokenSet | undefined): void {
  if (tokens === undefined) return;
  assert(isSendable(tokens.accessToken), "an access token that no request can carry");
  const { expiresIn = 1, refreshToken = "x" } = tokens;
  assert(Number.isFinite(expiresIn) && expiresIn > 0, `a lifetime of ${expiresIn}`);
  assert(typeof refreshToken === "string" && refreshToken !== "", "an odd refresh token");
}

const claims = variant(CLAIMS, ["azp", "nbf", "at_hash", "nonce", "events", "auth_time"]);
const signed = fc.tuple(claims, variant({ typ: "JWT" }, ["kid", "crit", "jwk", "cty"]));
const tokenAnswer = httpAnswer(json(variant(TOKENS, [...ERROR_FIELDS, "id_token"])));

/**
 * Whether an error's words have a secret in them that neither the request nor the tokens of the answer
 * have: nobody could know it for one.
 */
function tellsUnknown(body: string, sent?: string): boolean {
  const { error, error_description, access_token, refresh_token, id_token } = parseObject(body) ??
    {};
  const known = [sent, access_token, refresh_token, id_token];
  const words = [error, error_description].filter((one) => typeof one === "string").join(" ");
  return sharesPiece(words, Object.values(SECRETS).filter((one) => !known.includes(one)));
}

/** The hosts of requests that carried the bearer. */
async function bearerHosts(locations: readonly string[], status: number): Promise<string[]> {
  const hosts: string[] = [];
  let hop = 0;
  const fetch = (input: string | URL | Request, init?: RequestInit) => {
    const headers = new Headers(input instanceof Request ? input.headers : init?.headers);
    const url = input instanceof Request ? input.url : String(input);
    if (headers.has("authorization")) hosts.push(new URL(url).origin);
    const location = locations[hop++];
    if (location === undefined) return Promise.resolve(Response.json({}));
    return Promise.resolve(new Response(null, { status, headers: { location } }));
  };
  const request = { url: new URL("https://api.example.com/v1/x"), init: {} };
  const headers = { authorization: `Bearer ${SECRETS.access}` };
  const transport = new ApiTransport({ timeoutMs: 5000, secrets: new Set(), fetch });
  await attempt(() => transport.send(request, { headers, fetch }));
  return hosts;
}

const location = fc.oneof(
  fc.constantFrom(
    "/y",
    "//evil.example/x",
    "https://api.example.com.evil.example",
    "https://api.example.com:444/",
    "http://api.example.com/",
    "https://api.example.com@evil.example/",
    "\\\\evil.example",
    "javascript:alert(1)",
    "https://api.example.com/z",
  ),
  text.map((one) => one.replace(/[^\x20-\x7e]/g, "").trim()),
);

/** What a provider and an API answer. */
export const PROVIDER_TARGETS: readonly FuzzTarget[] = [
  target("discovery", httpAnswer(json(variant(DISCOVERY, ERROR_FIELDS))), async (input) => {
    const body = withoutSecrets(input.body); // a wrong issuer is shown
    const from = fakeProvider({ discovery: () => toResponse({ ...input, body }) });
    await attempt(() => from.endpointHosts());
    await attempt(() => authorizeDevice(from));
  }),
  target(
    "an answer with a device code",
    httpAnswer(json(variant(DEVICE, [...ERROR_FIELDS, "verification_url"]))),
    async (input) => {
      if (tellsUnknown(input.body)) return;
      const device = await attempt(() =>
        authorizeDevice(fakeProvider({ device: () => toResponse(input) }))
      );
      if (device === undefined) return;
      const { verificationUri, verificationUriComplete = verificationUri, userCode } = device.code;
      for (const page of [verificationUri, verificationUriComplete]) {
        assert(isSecureUrl(new URL(page)), "a page that is none of the web");
        assertPlain(page);
      }
      assertPlain(userCode);
      assert(device.interval > 0 && Number.isFinite(device.interval), "an odd interval");
      assert(Number.isFinite(device.code.expiresAt.getTime()), "an odd end");
    },
  ),
  target("an answer with tokens", tokenAnswer, async (input) => {
    if (tellsUnknown(input.body, SECRETS.extra)) return;
    assertTokens(await attempt(() => pollOnce(fakeProvider({ token: () => toResponse(input) }))));
  }),
  target("the answer to a refresh", tokenAnswer, async (input) => {
    if (tellsUnknown(input.body, SECRETS.refresh)) return;
    const from = fakeProvider({ token: () => toResponse(input) });
    const refreshToken = SECRETS.refresh;
    const keepRotated = () => Promise.resolve();
    assertTokens(await attempt(() => refreshTokens(from, { refreshToken, keepRotated })));
  }),
  target("the claims of an ID token", signed, async ([given, header]) => {
    const id_token = await signJwt(given, SIGNING_KEY, { header });
    const token = () => Response.json({ ...TOKENS, id_token });
    const tokens = await attempt(() => pollOnce(fakeProvider({ token })));
    if (tokens === undefined) return;
    const { iss, sub, aud, azp = CLIENT, iat, exp } = given as Record<string, unknown>;
    const audiences = Array.isArray(aud) ? aud : [aud];
    assert(iss === ISSUER && azp === CLIENT && audiences.includes(CLIENT), "another's ID token");
    assert(audiences.length === 1 || given.azp === CLIENT, "an audience that is not trusted");
    assert(typeof sub === "string" && sub !== "", "no person");
    assert(typeof exp === "number" && exp > NOW - 900, "an ID token that has ended");
    assert(typeof iat === "number" && iat < NOW + 1900, "an ID token of the future");
    assert(!/\+jwt$/i.test(String(header.typ)), "a token of another kind");
  }),
  target(
    "an ID token",
    fc.oneof(text, damaged(fc.constant(await signJwt(CLAIMS, SIGNING_KEY)))),
    async (id_token) => {
      const token = () => Response.json({ ...TOKENS, id_token });
      const tokens = await attempt(() => pollOnce(fakeProvider({ token })));
      assert(
        tokens?.idToken === undefined || tokens.idToken.split(".").length === 3,
        "an ID token of another form",
      );
    },
  ),
  target(
    "the keys of a provider",
    httpAnswer(json(fc.oneof(
      variant({ keys: [] }),
      variant({ ...SIGNING_KEY.publicJwk }).map((key) => ({ keys: [key] })),
      fc.array(value, { maxLength: 3 }).map((keys) => ({ keys })),
    ))),
    async (input) => {
      const id_token = await signJwt(CLAIMS, SIGNING_KEY);
      const token = () => Response.json({ ...TOKENS, id_token });
      assertTokens(
        await attempt(() => pollOnce(fakeProvider({ token, jwks: () => toResponse(input) }))),
      );
    },
  ),
  target(
    "redirects of the API",
    fc.tuple(fc.array(location, { maxLength: 4 }), fc.constantFrom(301, 302, 303, 307, 308)),
    async ([locations, status]) => {
      const hosts = await bearerHosts(locations, status);
      assert(
        hosts.every((host) => host === "https://api.example.com"),
        "the bearer left its origin",
      );
    },
  ),
];
