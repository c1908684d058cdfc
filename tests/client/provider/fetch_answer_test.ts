import { assertEquals } from "@std/assert";
import {
  DISCOVERY,
  type Endpoint,
  JWKS,
  REVOCATION,
  TOKEN,
} from "../../../client/provider/fetch.ts";
import { DEVICE } from "../../../client/provider/device_grant.ts";

type Json = Record<string, unknown>;
/** What an endpoint answers, and what it counts as. An error has status 400 then. */
type Row = [status: number, json: Json | undefined, body: Json | undefined];

const PAGE = { device_code: "d", user_code: "u", verification_uri: "https://a.example/" };
const END = { expires_in: 900 };
const COMPLETE = { verification_uri_complete: "https://a.example/?c" };
const { verification_uri: url, ...CODES } = PAGE;
const TOKENS = { access_token: "a", token_type: "Bearer" };
const PENDING = { error: "authorization_pending" };
const DENIED = { error: "access_denied" };

const ROWS: [name: string, endpoint: Endpoint, rows: Row[]][] = [
  ["discovery", DISCOVERY, [
    [200, { issuer: "i", jwks_uri: null }, { issuer: "i" }],
    [200, undefined, undefined],
    [500, { issuer: "i" }, undefined],
  ]],
  ["keys", JWKS, [
    [200, { keys: [] }, { keys: [] }],
    [404, undefined, undefined],
    [400, { error: "x" }, undefined],
  ]],
  ["device", DEVICE, [
    [200, { ...PAGE, interval: 3, expires_in: 60 }, { ...PAGE, interval: 3, expires_in: 60 }],
    [201, PAGE, { ...PAGE, ...END }],
    [200, { ...PAGE, interval: "7" }, { ...PAGE, ...END, interval: 7 }],
    ...[0, -1, null, "soon", [5]].map((interval): Row => [
      200,
      { ...PAGE, interval },
      { ...PAGE, ...END },
    ]),
    [200, { ...PAGE, expires_in: "60" }, { ...PAGE, expires_in: 60 }],
    [200, { ...PAGE, expires_in: 0 }, { ...PAGE, ...END }],
    [200, { ...CODES, verification_url: url }, { ...PAGE, ...END }],
    [200, { ...PAGE, verification_url: "https://b.example/" }, { ...PAGE, ...END }],
    [200, { ...PAGE, ...COMPLETE }, { ...PAGE, ...COMPLETE, ...END }],
    [200, { ...PAGE, verification_uri_complete: null }, { ...PAGE, ...END }],
    [502, undefined, undefined],
  ]],
  ["token", TOKEN, [
    [200, { ...TOKENS, expires_in: 60 }, { ...TOKENS, expires_in: 60 }],
    ...[undefined, null, ""].map((token_type): Row => [
      200,
      { access_token: "a", token_type },
      TOKENS,
    ]),
    [200, { ...TOKENS, expires_in: "3599" }, { ...TOKENS, expires_in: 3599 }],
    [200, { ...TOKENS, expires_in: null }, TOKENS],
    [200, { ...TOKENS, expires_in: "never" }, TOKENS],
    [200, { ...TOKENS, refresh_token: null, id_token: "" }, TOKENS],
    [200, { ...TOKENS, error: null }, TOKENS],
    [200, { ...TOKENS, error: "" }, TOKENS],
    ...[200, 400, 401, 428, 429, 503].map((status): Row => [status, PENDING, PENDING]),
    [429, { error: "slow_down" }, { error: "slow_down" }],
    [403, DENIED, DENIED],
    [429, { error: "invalid_grant" }, undefined], // which decides nothing
    [500, { error: "invalid_grant" }, undefined],
    [400, { error: "server_error" }, undefined],
    [400, { error: "temporarily_unavailable" }, undefined],
    [400, { error: { code: 1 } }, undefined],
    [403, { message: "no" }, undefined],
    [500, TOKENS, undefined],
    [200, undefined, undefined],
  ]],
  ["revocation", REVOCATION, [
    [200, undefined, {}],
    [400, { error: "unsupported_token_type" }, { error: "unsupported_token_type" }],
  ]],
];

for (const [name, endpoint, rows] of ROWS) {
  Deno.test(`normalize: answers of the ${name} endpoint`, () => {
    for (const [status, json, body] of rows) {
      const expected = body && { status: "error" in body ? 400 : 200, body };
      const given = json && JSON.parse(JSON.stringify(json));
      assertEquals(endpoint.normalize(status, given), expected, JSON.stringify([status, json]));
    }
  });
}

Deno.test("normalize: no discovery document, and a lifetime beyond every date", () => {
  assertEquals(DISCOVERY.normalize(404, undefined), { status: 404, body: {} });
  const answer = TOKEN.normalize(200, { ...TOKENS, expires_in: 1e300 });
  const seconds = answer?.body.expires_in;
  new Date(Date.now() + Number(seconds) * 1000).toISOString(); // throws when out of range
});
