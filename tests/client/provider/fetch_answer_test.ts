import { assertEquals } from "@std/assert";
import {
  type Answer,
  DISCOVERY,
  type Endpoint,
  JWKS,
  REVOCATION,
  TOKEN,
} from "../../../client/provider/fetch.ts";
import { DEVICE } from "../../../client/provider/device_grant.ts";

const ENDPOINTS = {
  discovery: DISCOVERY,
  jwks: JWKS,
  device: DEVICE,
  token: TOKEN,
  revocation: REVOCATION,
} satisfies Record<string, Endpoint>;

type Row = [
  what: string,
  endpoint: keyof typeof ENDPOINTS,
  status: number,
  json: Record<string, unknown> | undefined,
  expected: Answer | undefined,
];

const PAGE = { device_code: "d", user_code: "u", verification_uri: "https://a.example/" };
const TOKENS = { access_token: "a", token_type: "Bearer" };
const PENDING = { error: "authorization_pending" };

function device(body: Record<string, unknown>): Answer {
  return { status: 200, body: { ...PAGE, expires_in: 900, ...body } };
}

const ROWS: Row[] = [
  ["an absent discovery document", "discovery", 404, undefined, { status: 404, body: {} }],
  ["a discovery document", "discovery", 200, { issuer: "i" }, {
    status: 200,
    body: { issuer: "i" },
  }],
  ["explicit nulls in discovery", "discovery", 200, { issuer: "i", jwks_uri: null }, {
    status: 200,
    body: { issuer: "i" },
  }],
  ["discovery as HTML", "discovery", 200, undefined, undefined],
  ["discovery with an error status", "discovery", 500, { issuer: "i" }, undefined],
  ["keys", "jwks", 200, { keys: [] }, { status: 200, body: { keys: [] } }],
  ["absent keys", "jwks", 404, undefined, undefined],
  ["keys with an error", "jwks", 400, { error: "x" }, undefined],

  ["a plain device answer", "device", 200, { ...PAGE, interval: 3, expires_in: 60 }, {
    status: 200,
    body: { ...PAGE, interval: 3, expires_in: 60 },
  }],
  ["status 201", "device", 201, { ...PAGE }, device({})],
  ["interval as a string", "device", 200, { ...PAGE, interval: "7" }, device({ interval: 7 })],
  ["interval 0", "device", 200, { ...PAGE, interval: 0 }, device({})],
  ["interval below 0", "device", 200, { ...PAGE, interval: -1 }, device({})],
  ["interval null", "device", 200, { ...PAGE, interval: null }, device({})],
  ["interval in words", "device", 200, { ...PAGE, interval: "soon" }, device({})],
  ["interval of another type", "device", 200, { ...PAGE, interval: [5] }, device({})],
  ["no lifetime", "device", 200, { ...PAGE }, device({})],
  [
    "lifetime as a string",
    "device",
    200,
    { ...PAGE, expires_in: "60" },
    device({
      expires_in: 60,
    }),
  ],
  ["lifetime 0", "device", 200, { ...PAGE, expires_in: 0 }, device({})],
  [
    "verification_url",
    "device",
    200,
    {
      device_code: "d",
      user_code: "u",
      verification_url: "https://b.example/",
      verification_url_complete: "https://b.example/?c",
    },
    {
      status: 200,
      body: {
        device_code: "d",
        user_code: "u",
        verification_uri: "https://b.example/",
        verification_uri_complete: "https://b.example/?c",
        expires_in: 900,
      },
    },
  ],
  [
    "both spellings: the standard one wins",
    "device",
    200,
    { ...PAGE, verification_url: "https://b.example/" },
    device({}),
  ],
  [
    "a null complete page",
    "device",
    200,
    { ...PAGE, verification_uri_complete: null },
    device(
      {},
    ),
  ],

  ["plain tokens", "token", 200, { ...TOKENS, expires_in: 60 }, {
    status: 200,
    body: { ...TOKENS, expires_in: 60 },
  }],
  ["no token_type", "token", 200, { access_token: "a" }, { status: 200, body: TOKENS }],
  ["a null token_type", "token", 200, { access_token: "a", token_type: null }, {
    status: 200,
    body: TOKENS,
  }],
  ["an empty token_type", "token", 200, { access_token: "a", token_type: "" }, {
    status: 200,
    body: TOKENS,
  }],
  ["expires_in as a string", "token", 200, { ...TOKENS, expires_in: "3599" }, {
    status: 200,
    body: { ...TOKENS, expires_in: 3599 },
  }],
  ["expires_in null", "token", 200, { ...TOKENS, expires_in: null }, {
    status: 200,
    body: TOKENS,
  }],
  ["expires_in in words", "token", 200, { ...TOKENS, expires_in: "never" }, {
    status: 200,
    body: TOKENS,
  }],
  ["null and empty tokens", "token", 200, { ...TOKENS, refresh_token: null, id_token: "" }, {
    status: 200,
    body: TOKENS,
  }],
  ["a null error beside tokens", "token", 200, { ...TOKENS, error: null }, {
    status: 200,
    body: TOKENS,
  }],
  ["an empty error beside tokens", "token", 200, { ...TOKENS, error: "" }, {
    status: 200,
    body: TOKENS,
  }],

  ["pending", "token", 400, PENDING, { status: 400, body: PENDING }],
  ["pending with 200", "token", 200, PENDING, { status: 400, body: PENDING }],
  ["pending with 401", "token", 401, PENDING, { status: 400, body: PENDING }],
  ["pending with 428", "token", 428, PENDING, { status: 400, body: PENDING }],
  ["pending with 429", "token", 429, PENDING, { status: 400, body: PENDING }],
  ["pending with 503", "token", 503, PENDING, { status: 400, body: PENDING }],
  ["slow_down with 429", "token", 429, { error: "slow_down" }, {
    status: 400,
    body: { error: "slow_down" },
  }],
  ["denied with 403", "token", 403, { error: "access_denied" }, {
    status: 400,
    body: { error: "access_denied" },
  }],
  ["an error with 429 decides nothing", "token", 429, { error: "invalid_grant" }, undefined],
  ["an error with 500 decides nothing", "token", 500, { error: "invalid_grant" }, undefined],
  ["server_error decides nothing", "token", 400, { error: "server_error" }, undefined],
  [
    "temporarily_unavailable decides nothing",
    "token",
    400,
    { error: "temporarily_unavailable" },
    undefined,
  ],
  ["an error that is no string", "token", 400, { error: { code: 1 } }, undefined],
  ["a bad status without an error", "token", 403, { message: "no" }, undefined],
  ["tokens with 500", "token", 500, TOKENS, undefined],
  ["HTML", "token", 200, undefined, undefined],
  ["HTML with 502", "device", 502, undefined, undefined],
  ["a revocation without a body", "revocation", 200, undefined, { status: 200, body: {} }],
  ["a refused revocation", "revocation", 400, { error: "unsupported_token_type" }, {
    status: 400,
    body: { error: "unsupported_token_type" },
  }],
];

for (const [what, endpoint, status, json, expected] of ROWS) {
  Deno.test(`normalize: ${endpoint}: ${what}`, () => {
    assertEquals(ENDPOINTS[endpoint].normalize(status, json), expected);
  });
}

Deno.test("normalize: a lifetime beyond every date stays usable", () => {
  const answer = TOKEN.normalize(200, { ...TOKENS, expires_in: 1e300 });
  const seconds = answer?.body.expires_in;
  new Date(Date.now() + Number(seconds) * 1000).toISOString(); // throws when out of range
});
