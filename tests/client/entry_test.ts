import { assertEquals } from "@std/assert";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import {
  bearerOf,
  coversScope,
  isExpired,
  isFresh,
  parseExpiry,
  readClaims,
} from "../../client/entry.ts";
import { toEntry } from "../../client/tokens/new_entry.ts";
import { makeSigningKey, signJwt } from "../support/jwt.ts";
import { runDeno } from "../support/deno_process.ts";
import { isPosix } from "../support/sandbox.ts";

const NOW = Date.UTC(2030, 0, 1);
const IDENTITY = {
  kind: "oidc",
  issuer: "https://login.example.com",
  clientId: "my-app",
  scope: "openid offline_access",
} as const;
const ENTRY: OidcCredentials = {
  issuer: IDENTITY.issuer,
  client_id: IDENTITY.clientId,
  access_token: "access-1",
  refresh_token: "refresh-1",
  expires_at: "2030-01-01T01:00:00Z",
};

async function idToken(claims: Record<string, unknown>): Promise<string> {
  return await signJwt(claims, await makeSigningKey());
}

Deno.test("bearerOf: an access token ends when the entry says", () => {
  const expiresAt = NOW + 3600_000;
  assertEquals(bearerOf(ENTRY, "access_token"), { token: "access-1", expiresAt });
  assertEquals(bearerOf({ ...ENTRY, expires_at: null }, "access_token")?.expiresAt, 0);
});

Deno.test("bearerOf: an ID token ends by its own exp, not by the entry's", async () => {
  const token = await idToken({ exp: NOW / 1000 + 60 });
  const entry = { ...ENTRY, id_token: token };
  assertEquals(bearerOf(entry, "id_token"), { token, expiresAt: NOW + 60_000 });
});

Deno.test("bearerOf: an ID token without an exp ends with the entry", async () => {
  for (const token of [await idToken({}), "opaque", "a.b.c"]) {
    const entry = { ...ENTRY, id_token: token };
    assertEquals(bearerOf(entry, "id_token"), { token, expiresAt: NOW + 3600_000 });
  }
});

Deno.test("bearerOf: undefined where the entry has no such token", () => {
  for (const token of [undefined, null, "", 5, "a b", "a\r\nx: y", "é", "a\n"]) {
    const entry = { ...ENTRY, id_token: token } as OidcCredentials;
    assertEquals(bearerOf(entry, "id_token"), undefined);
  }
});

Deno.test("isFresh: until 120 seconds, or a tenth of a short lifetime, before the end", () => {
  const bearer = { token: "t", expiresAt: NOW + 120_000 };
  assertEquals(isFresh(bearer, NOW - 1), true);
  assertEquals(isFresh(bearer, NOW), false);
  assertEquals(isFresh(undefined, NOW), false);
  const short = { token: "t", expiresAt: NOW + 10_000, lifetimeMs: 100_000 };
  assertEquals([isFresh(short, NOW - 1), isFresh(short, NOW)], [true, false]);
});

const SCOPES: [stored: string | null | undefined, asked: string, covered: boolean][] = [
  ["openid offline_access", "openid offline_access", true],
  ["openid offline_access", "offline_access openid", true],
  ["openid email offline_access", "openid", true],
  ["openid", "openid email", false],
  ["openid", "open", false],
  ["", "openid", false],
  [undefined, "openid email", true],
  [null, "openid email", true],
];

for (const [stored, asked, covered] of SCOPES) {
  Deno.test(`coversScope: stored ${JSON.stringify(stored)}, asked "${asked}"`, () => {
    assertEquals(coversScope({ ...ENTRY, scope: stored } as OidcCredentials, asked), covered);
  });
}

Deno.test("toEntry: a new entry has the scope that was asked for, and all fields", () => {
  const tokens = { accessToken: "a", refreshToken: "r", idToken: "i", expiresIn: 60 };
  assertEquals(toEntry(tokens, { ...IDENTITY, audience: "api" }, "access_token", NOW), {
    issuer: "https://login.example.com",
    client_id: "my-app",
    access_token: "a",
    refresh_token: "r",
    id_token: "i",
    expires_at: "2030-01-01T00:01:00.000Z",
    lifetime: 60,
    audience: "api",
    scope: "openid offline_access",
  });
});

Deno.test("toEntry: without a lifetime it is an hour, without other tokens they are null", () => {
  const entry = toEntry({ accessToken: "a" }, IDENTITY, "access_token", NOW);
  assertEquals(entry.expires_at, "2030-01-01T01:00:00.000Z");
  assertEquals([entry.refresh_token, entry.id_token, "audience" in entry], [null, null, false]);
});

Deno.test("toEntry: an ID token as the bearer sets the end", () => {
  const tokens = { accessToken: "a", idToken: "i", idTokenExpiry: NOW / 1000 + 30, expiresIn: 60 };
  const expiry = (kind: "access_token" | "id_token") =>
    toEntry(tokens, IDENTITY, kind, NOW).expires_at;
  assertEquals(expiry("id_token"), "2030-01-01T00:00:30.000Z");
  assertEquals(expiry("access_token"), "2030-01-01T00:01:00.000Z");
});

Deno.test("toEntry: what a refresh does not bring stays, and what others wrote too", () => {
  const previous = { ...ENTRY, id_token: "id-1", scope: "openid", note: { by: "another program" } };
  const entry = toEntry({ accessToken: "access-2" }, IDENTITY, "access_token", NOW, previous);
  assertEquals(entry, {
    ...previous,
    access_token: "access-2",
    expires_at: "2030-01-01T01:00:00.000Z",
  });
});

Deno.test("toEntry: the lifetime is kept only where it is short", () => {
  const short = toEntry({ accessToken: "a", expiresIn: 1199 }, IDENTITY, "access_token", NOW);
  assertEquals(short.lifetime, 1199);
  const long = toEntry({ accessToken: "a", expiresIn: 1200 }, IDENTITY, "access_token", NOW, short);
  assertEquals("lifetime" in long, false);
});

Deno.test("toEntry: a row from Python without a scope stays without one", () => {
  const entry = toEntry({ accessToken: "access-2" }, IDENTITY, "access_token", NOW, ENTRY);
  assertEquals("scope" in entry, false);
});

Deno.test("readClaims: the payload, or undefined for what is no token", async () => {
  assertEquals(readClaims(await idToken({ sub: "é" })), { sub: "é" });
  for (const text of ["", "opaque", "a.b.c", "a.%%%.c"]) assertEquals(readClaims(text), undefined);
});

const NOON = Date.UTC(2030, 0, 1, 12);

const TIMESTAMPS: [text: string, time: number][] = [
  ["2030-01-01T12:00:00Z", NOON],
  ["2030-01-01T12:00:00z", NOON],
  ["2030-01-01T12:00:00+00:00", NOON],
  ["2030-01-01T17:30:00+05:30", NOON],
  ["2030-01-01T17:30:00+0530", NOON],
  ["2030-01-01T08:00:00-04:00", NOON],
  ["2030-01-01T12:00:00", NOON],
  ["2030-01-01 12:00:00", NOON],
  [" 2030-01-01T12:00:00Z ", NOON],
  ["2030-01-01T12:00Z", NOON],
  ["2030-01-01T12:00:00.000Z", NOON],
  ["2030-01-01T12:00:00.123456+00:00", NOON + 123],
  ["2030-01-01T12:00:00.999999", NOON + 999],
  ["2030-01-01", Date.UTC(2030, 0, 1)],
];

for (const [text, time] of TIMESTAMPS) {
  Deno.test(`parseExpiry: ${JSON.stringify(text)}`, () => assertEquals(parseExpiry(text), time));
}

const GARBAGE = [
  undefined,
  null,
  "",
  "  ",
  "soon",
  "after 2099",
  "2099",
  "1",
  "2099-13-01T00:00:00Z",
  "2099-01-01T99:00:00Z",
  "99999999999",
  4_000_000_000,
  NaN,
  true,
  {},
  [],
  new Date(NOON),
];

for (const garbage of GARBAGE) {
  Deno.test(`parseExpiry: ${Deno.inspect(garbage)} is long past`, () => {
    assertEquals(parseExpiry(garbage), 0);
    assertEquals(isExpired({ expires_at: garbage as string }), true);
  });
}

function inSeconds(seconds: number): { expires_at: string } {
  return { expires_at: new Date(Date.now() + seconds * 1000).toISOString() };
}

Deno.test("isExpired: 120 seconds before the end, unless told otherwise", () => {
  assertEquals(isExpired(inSeconds(115)), true);
  assertEquals(isExpired(inSeconds(125)), false);
  assertEquals(isExpired(inSeconds(5), 0), false);
  assertEquals(isExpired(inSeconds(-1), 0), true);
  assertEquals(isExpired(inSeconds(595), 600), true);
  assertEquals(isExpired(inSeconds(-5), -10), false);
});

Deno.test("isExpired: an entry without the field has expired", () => {
  assertEquals(isExpired({}), true);
});

Deno.test("parseExpiry: without a zone it is UTC, wherever this computer is", async () => {
  const module = new URL("../../client/entry.ts", import.meta.url).href;
  const code = `
    import { parseExpiry } from ${JSON.stringify(module)};
    const texts = ["2030-01-01T12:00:00", "2030-01-01 12:00:00.5", "2030-01-01"];
    console.log(JSON.stringify([new Date(0).getTimezoneOffset(), ...texts.map(parseExpiry)]));
  `;
  const { stdout } = await runDeno({ code, env: { TZ: "America/New_York" } });
  const [offset, ...times] = JSON.parse(stdout);
  if (isPosix) assertEquals(offset, 300); // Windows has its zone from the system alone
  assertEquals(times, [NOON, NOON + 500, Date.UTC(2030, 0, 1)]);
});

Deno.test("toEntry: an end beyond all dates is the last one, and the tokens are kept", async () => {
  for (const exp of [9e15, Infinity]) {
    const tokens = { accessToken: "a", refreshToken: "r", idTokenExpiry: exp };
    const entry = toEntry(tokens, IDENTITY, "id_token", NOW, ENTRY);
    assertEquals([entry.expires_at, entry.refresh_token], ["9999-12-31T00:00:00.000Z", "r"]);
  }
  const id_token = await idToken({ exp: 9e15 });
  const bearer = bearerOf({ ...ENTRY, id_token }, "id_token");
  assertEquals(bearer && new Date(bearer.expiresAt).getUTCFullYear(), 9999);
});

Deno.test("toEntry: the granted scope is kept only where it is another one", () => {
  const grantedOf = (scope: string | undefined, previous?: OidcCredentials) =>
    toEntry({ accessToken: "a", ...(scope && { scope }) }, IDENTITY, "access_token", NOW, previous)
      .granted_scope;
  assertEquals(grantedOf(undefined), undefined);
  assertEquals(grantedOf("offline_access openid"), undefined);
  assertEquals(grantedOf("openid"), "openid");
  const previous = { ...ENTRY, scope: IDENTITY.scope, granted_scope: "openid" };
  assertEquals(grantedOf(undefined, previous), "openid"); // a refresh without a word keeps it
  assertEquals(grantedOf("openid offline_access", previous), undefined);
  assertEquals(grantedOf("openid", ENTRY), "openid"); // a row without a scope, from Python
});
