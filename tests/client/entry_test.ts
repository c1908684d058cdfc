import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  credentialKey,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
  ValidMindAuthError,
} from "@validmind/auth";
import { bearerOf, readClaims } from "../../client/entry/bearer.ts";
import { followProvider } from "../../client/tokens/new_entry.ts";
import { isExpired, parseExpiry } from "../../backends/is_expired.ts";
import { busyTime } from "../support/busy_time.ts";
import type { SessionOptions } from "../../client/session_options.ts";
import { runDeno } from "../support/deno_process.ts";
import { makeKey, signJwt } from "../support/jwt.ts";
import { answerWith, renew, test } from "../support/provider_world.ts";
import { isPosix } from "../support/sandbox.ts";

const SCOPE = "openid offline_access";
const ENDLESS = `e30.${btoa('{"exp":1e12}')}.s`;

type Row = [
  what: string,
  answer: Record<string, unknown>,
  expected: Record<string, unknown>,
  options?: SessionOptions,
];

/** What a token answer makes of an entry; the end is in seconds. */
const ENTRIES: Row[] = [
  ["all tokens", {}, {}],
  ["the access token alone", { refresh_token: undefined, id_token: undefined }, {
    refresh_token: null,
    id_token: null,
  }],
  ["a short lifetime", { expires_in: 60 }, { end: 60, lifetime: 60 }],
  ["nearly twenty minutes", { expires_in: 1199 }, { end: 1199, lifetime: 1199 }],
  ["twenty minutes", { expires_in: 1200 }, { end: 1200 }],
  ["a token without end", { expires_in: undefined, access_token: ENDLESS }, {
    access_token: ENDLESS,
    expires_at: "9999-12-31T00:00:00.000Z",
  }],
  ["no lifetime", { expires_in: undefined }, {}],
  ["the asked scope", { scope: SCOPE }, {}],
  ["the asked scope in another order", { scope: "offline_access openid" }, {}],
  ["less scope", { scope: "openid" }, { granted_scope: "openid" }],
  ["the ID token as the bearer", { expires_in: 5 }, {}, { bearer: "id_token" }],
];

for (const [what, answer, change, options = {}] of ENTRIES) {
  test(`entry of a sign-in: ${what}`, async (world) => {
    const seconds = Math.floor(world.clock.now() / 1000) + 1; // after the wait for the approval
    world.clock.advance(seconds * 1000 - 1000 - world.clock.now());
    const id_token = await world.provider.idToken({ exp: seconds + 3600 });
    const tokens = { access_token: "access-1", refresh_token: "refresh-1", id_token };
    answerWith(world, { ...tokens, scope: undefined, ...answer });
    await world.signIn({ scope: SCOPE, ...options });
    const entry = world.stored();
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
  const session = await world.signIn({ scope: SCOPE });
  const refresh = async (answer: Record<string, unknown>) => {
    const bare = { refresh_token: undefined, id_token: null, scope: undefined };
    answerWith(world, { ...bare, ...answer });
    await renew(session);
    const { access_token: _1, expires_at: _2, ...kept } = world.stored();
    return kept;
  };
  const { access_token: _1, expires_at: _2, ...kept } = world.stored();
  world.amend({ note: "of another program", granted_scope: "openid" });
  const noted = { ...kept, note: "of another program" };
  assertEquals<unknown>(await refresh({}), { ...noted, granted_scope: "openid" });
  assertEquals<unknown>(await refresh({ scope: SCOPE }), noted);
  // A row without a scope, from Python, stays without one.
  world.amend({ scope: undefined });
  const { scope, granted_scope } = await refresh({ scope: "openid" });
  assertEquals([scope, granted_scope], [undefined, "openid"]);
});

Deno.test("followProvider: a clock that is off by more than ten seconds", () => {
  for (const [skew, aheadMs] of [[10, 0], [-10, 0], [11, 11_000]] as const) {
    const runtime = { now: Date.now };
    const options = { identity: { issuer: "i" }, bearer: "access_token", runtime };
    followProvider(options as never, new Map())({ sentAt: 0, sent: 0, skew });
    assert(Math.abs(runtime.now() - Date.now() - aheadMs) < 500, `${skew} s`);
  }
});

Deno.test("readClaims: the payload, or undefined for what is no token", async () => {
  const token = await signJwt({ sub: "é" }, await makeKey());
  assertEquals(readClaims(token), { sub: "é" });
  for (const text of ["", "opaque", "a.b.c", "a.%%%.c", { toString: 1 }]) {
    assertEquals(readClaims(text), undefined);
  }
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
  const module = new URL("../../backends/is_expired.ts", import.meta.url).href;
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

const ISSUERS: [given: string, normalized: string][] = [
  ["https://login.example.com", "https://login.example.com"],
  ["https://login.example.com///", "https://login.example.com"],
  ["https://login.example.com/realms/acme/", "https://login.example.com/realms/acme"],
  [" \thttps://login.example.com\n", "https://login.example.com"],
  ['"https://login.example.com/"', "https://login.example.com"],
  ["'https://login.example.com/'", "https://login.example.com"],
  [' " https://login.example.com/ " ', "https://login.example.com"],
  [`"'https://login.example.com'"`, "https://login.example.com"],
  ['"https://login.example.com"/', "https://login.example.com"],
  [`"https://login.example.com'`, `"https://login.example.com'`],
  ["https://Login.Example.COM", "https://Login.Example.COM"],
  ["https://login.example.com/.well-known/openid-configuration", "https://login.example.com"],
  ["'https://a.example/realms/x/.well-known/openid-configuration/'", "https://a.example/realms/x"],
  ['"', '"'],
  ['""', ""],
  ["", ""],
  // Python's strip treats these otherwise.
  ...["\x1c", "\x1f", "\x85"].map((space): [string, string] => [`${space}a`, `${space}a`]),
  ["\ufeffa", "a"],
];

Deno.test("normalizeIssuer: white space, outer quotes and trailing slashes go, in linear time", async () => {
  for (const [given, normalized] of ISSUERS) assertEquals(normalizeIssuer(given), normalized);
  const texts = [`${"/".repeat(60_000)}x`, '"'.repeat(60_000), " /".repeat(30_000)];
  const time = await busyTime(() => texts.forEach(normalizeIssuer));
  assert(time < 3000, `${time} ms`); // it took ten seconds
});

Deno.test("normalizeClientId: white space and outer quotes go, slashes stay", () => {
  const clients = { " my-app ": "my-app", "'my-app'": "my-app", '"api://a/"': "api://a/" };
  const same = { "it's": "it's", "e\u0301": "e\u0301" }; // no Unicode normalisation, as in Python
  for (const [given, normalized] of Object.entries({ ...clients, ...same })) {
    assertEquals(normalizeClientId(given), normalized);
  }
});

Deno.test("normalizeAudience: a trailing slash stays, nothing left is undefined", () => {
  assertEquals(normalizeAudience(' "https://api.example.com/" '), "https://api.example.com/");
  for (const nothing of [undefined, null, "", "  ", '""', "' '"]) {
    assertEquals(normalizeAudience(nothing), undefined);
  }
});

const KEYS: [...Parameters<typeof credentialKey>, key: string][] = [
  ["https://a.example/", " app ", undefined, {}, "https://a.example|app"],
  ["https://a.example", "app", "", { profile: undefined }, "https://a.example|app"],
  ["https://a.example", "app", null, { dpop: true }, "dpop|https://a.example|app"],
  ["'https://a.example/'", "app", "api/", {}, "https://a.example|app|api/"],
  ["https://a.b/", "app", "api", { profile: "work" }, "profile:work|https://a.b|app|api"],
  ["https://a.b", "app", null, { profile: "a.b_c@d+e-f" }, "profile:a.b_c@d+e-f|https://a.b|app"],
];

Deno.test("credentialKey: the parts that are there; a profile stands where no audience can", () => {
  for (const [issuer, client, audience, options, key] of KEYS) {
    assertEquals(credentialKey(issuer, client, audience, options), key);
  }
});

Deno.test("credentialKey: a part that could make another key is refused", () => {
  const profiles = ["", " ", "a|b", "a:b", "a\nb", "ä", "a".repeat(65)];
  type Parts = Parameters<typeof credentialKey>;
  const bad: Parts[] = [["https://a.example", "a|b"], ["https://a/x|profile:b", "app"]];
  bad.push(...profiles.map((profile): Parts => ["https://a.b", "app", null, { profile }]));
  for (const args of bad) {
    const run = () => credentialKey(...args);
    assertEquals(assertThrows(run, ValidMindAuthError).code, "invalid_options");
  }
});

Deno.test("credentialKey: no two choices share a key, and no person's is the client's own", () => {
  const issuers = ["https://a.example", "http://127.0.0.1:1/client_credentials"];
  const texts = [...issuers, "client_credentials", "dpop", "profile:work"];
  const audiences = [undefined, ...texts, texts.join("|"), "https://a.example|app", "work|api"];
  const keysOf = (flow: string | undefined) =>
    issuers.flatMap((issuer) =>
      texts.flatMap((clientId) =>
        audiences.flatMap((audience) =>
          [undefined, "work", "client_credentials"].flatMap((profile) =>
            [false, true].map((dpop) =>
              credentialKey(issuer, clientId, audience, { profile, dpop, flow })
            )
          )
        )
      )
    );
  const persons = keysOf("device");
  const clients = keysOf("client_credentials");
  assertEquals(new Set([...persons, ...clients]).size, persons.length + clients.length);
  for (const flow of ["auto", "browser", undefined]) assertEquals(keysOf(flow), persons);
});
