import { assertEquals } from "@std/assert";
import { createSession } from "../../client/create_session.ts";
import { bearerOf, isExpired, parseExpiry, readClaims } from "../../client/entry.ts";
import type { SessionOptions } from "../../client/session_options.ts";
import { runDeno } from "../support/deno_process.ts";
import { makeSigningKey, signJwt } from "../support/jwt.ts";
import { test } from "../support/provider_world.ts";
import { isPosix } from "../support/sandbox.ts";

const SCOPE = "openid offline_access";
const ENDLESS = `e30.${btoa('{"exp":1e12}')}.s`;
const OTHER_ORDER = "offline_access openid";

type Row = [
  what: string,
  answer: Record<string, unknown>,
  expected: Record<string, unknown>,
  options?: SessionOptions,
];

/** What a token answer makes of an entry; the end is in seconds. */
const ENTRIES: Row[] = [
  ["all tokens", {}, {}],
  ["an audience", {}, { audience: "api" }, { audience: "api" }],
  ["the access token alone", { refresh_token: undefined, id_token: undefined }, {
    refresh_token: null,
    id_token: null,
  }],
  ["no lifetime", { expires_in: undefined }, {}],
  ["a short lifetime", { expires_in: 60 }, { end: 60, lifetime: 60 }],
  ["nearly twenty minutes", { expires_in: 1199 }, { end: 1199, lifetime: 1199 }],
  ["twenty minutes", { expires_in: 1200 }, { end: 1200 }],
  ["a token without end", { expires_in: undefined, access_token: ENDLESS }, {
    access_token: ENDLESS,
    expires_at: "9999-12-31T00:00:00.000Z",
  }],
  ["the asked scope", { scope: OTHER_ORDER }, {}],
  ["less scope", { scope: "openid" }, { granted_scope: "openid" }],
  ["the ID token as the bearer", { expires_in: 5 }, {}, { bearer: "id_token" }],
];

for (const [what, answer, change, options = {}] of ENTRIES) {
  test(`entry of a sign-in: ${what}`, async (world) => {
    const seconds = Math.floor(world.clock.now() / 1000) + 1; // after the wait for the approval
    world.clock.advance(seconds * 1000 - 1000 - world.clock.now());
    const id_token = await world.provider.idToken({ exp: seconds + 3600 });
    const tokens = { access_token: "access-1", refresh_token: "refresh-1", id_token };
    world.provider.script.token.push(() =>
      world.provider.tokens({ ...tokens, scope: undefined, ...answer })
    );
    await createSession({ ...world.options, scope: SCOPE, ...options });
    const entry = world.backend.get(world.key + (options.audience ? "|api" : ""))!;
    const { end = 3600, ...rest } = change;
    assertEquals<unknown>(entry, {
      issuer: world.provider.issuer,
      client_id: world.provider.clientId,
      ...tokens,
      expires_at: new Date((seconds + Number(end)) * 1000).toISOString(),
      scope: SCOPE,
      ...rest,
    });
  });
}

test("entry of a refresh: what it does not bring stays, and so does what others wrote", async (world) => {
  const session = await createSession({ ...world.options, scope: SCOPE });
  const refresh = async (answer: Record<string, unknown>) => {
    const bare = { refresh_token: undefined, id_token: null, scope: undefined };
    world.provider.script.token.push(() => world.provider.tokens({ ...bare, ...answer }));
    await session.accessToken({ forceRefresh: true });
    const { access_token: _1, expires_at: _2, ...kept } = world.stored();
    return kept;
  };
  const { access_token: _1, expires_at: _2, ...kept } = world.stored();
  world.amend({ note: "of another program", granted_scope: "openid" });
  const noted = { ...kept, note: "of another program" };
  assertEquals<unknown>(await refresh({}), { ...noted, granted_scope: "openid" });
  assertEquals<unknown>(await refresh({ scope: OTHER_ORDER }), noted);
  // A row without a scope, from Python, stays without one.
  world.amend({ scope: undefined });
  const { scope, granted_scope } = await refresh({ scope: "openid" });
  assertEquals([scope, granted_scope], [undefined, "openid"]);
});

Deno.test("readClaims: the payload, or undefined for what is no token", async () => {
  const token = await signJwt({ sub: "é" }, await makeSigningKey());
  assertEquals(readClaims(token), { sub: "é" });
  for (const text of ["", "opaque", "a.b.c", "a.%%%.c"]) assertEquals(readClaims(text), undefined);
});

Deno.test("bearerOf: a short lifetime goes with the token, in milliseconds", () => {
  const row = { issuer: "https://login.example.com", client_id: "app", access_token: "a" };
  const lifetimeOf = (lifetime?: number) =>
    bearerOf({ ...row, lifetime }, "access_token")?.lifetimeMs;
  assertEquals([1, 0, undefined].map(lifetimeOf), [1000, undefined, undefined]);
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
  ["2030-01-01T12:00:00.123456+00:00", NOON + 123],
  ["2030-01-01T12:00:00.999999", NOON + 999],
  ["2030-01-01", Date.UTC(2030, 0, 1)],
];

const TEXTS = ["", "  ", "soon", "after 2099", "2099", "1", "2099-13-01T00:00:00Z"];
const GARBAGE = [undefined, null, 4_000_000_000, NaN, true, {}, [], new Date(NOON)];

Deno.test("parseExpiry: what ISO 8601 and Python write, and nothing else", () => {
  for (const [text, time] of TIMESTAMPS) assertEquals(parseExpiry(text), time, text);
  for (const garbage of [...TEXTS, "2099-01-01T99:00:00Z", "99999999999", ...GARBAGE]) {
    assertEquals(parseExpiry(garbage), 0, `${garbage}`);
    assertEquals(isExpired({ expires_at: garbage as string }), true);
  }
});

Deno.test("isExpired: 120 seconds before the end, unless told otherwise", () => {
  const isOver = (seconds: number, skew?: number) =>
    isExpired({ expires_at: new Date(Date.now() + seconds * 1000).toISOString() }, skew);
  assertEquals([isOver(115), isOver(125), isOver(5, 0), isOver(-1, 0)], [true, false, false, true]);
  assertEquals([isOver(595, 600), isOver(-5, -10), isExpired({})], [true, false, true]);
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
