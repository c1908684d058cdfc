import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  ApiError,
  clearOidcCredentials,
  createSession,
  type OidcCredentialsBackend,
  type ValidMindAuthError,
} from "@validmind/auth";
import { json } from "../../support/http_server.ts";
import { HOUR, refreshes, renew, type ScriptedWorld, test } from "../../support/provider_world.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { SpyBackend } from "../../support/spy_backend.ts";

const refuse = (error: string, more: object = {}, status = 400) => () =>
  json({ error, error_description: "The session has ended", ...more }, status);

/** Answers to a refresh; whether the grant stays, and whether a person who is there is asked. */
const ANSWERS: [what: string, answer: () => Response, code: AnyErrorCode, stays: boolean][] = [
  ["over", refuse("invalid_grant"), "login_required", false],
  ["refused", refuse("invalid_grant", { suberror: "message_only" }), "login_required", true],
  ...["E1234", "interaction_required", "invalid_token", "<b>no</b>"].map(
    (error): typeof ANSWERS[number] => [`refused, ${error}`, refuse(error), "login_required", true],
  ),
  ...[400, 401, 403].map((status): typeof ANSWERS[number] => [
    `refused, ${status} without a text`,
    () => new Response(null, { status }),
    "login_required",
    true,
  ]),
  ["denied", refuse("access_denied"), "login_required", true],
  ["flow", refuse("unauthorized_client"), "login_required", true],
  ["scope", refuse("invalid_scope"), "login_required", true],
  ["wait", refuse("slow_down"), "login_required", true],
  ["client", refuse("invalid_client", {}, 401), "provider_refused", true],
  ["client, by its proof", refuse("invalid_dpop_proof", {}, 401), "provider_refused", true],
  ["fault", refuse("invalid_grant", {}, 503), "provider_unavailable", true],
];

for (const [what, answer, code, stays] of ANSWERS) {
  test.signedIn(`kind ${what}: ${code}, and the grant ${stays ? "stays" : "goes"}`, async ({ session, ...world }) => {
    const before = world.stored();
    world.clock.advance(HOUR);
    world.provider.script.token.push(answer);
    const said = await answer().text() === ""
      ? "and no text, or a proxy did"
      : "The session has ended";
    const meaning = `the provider ${stays ? "refused to refresh it" : "ended the sign-in"}: `;
    const words = code === "login_required" ? [meaning, said, "init()"] : [];
    const { cause } = await rejectsWith(code, () => session.accessToken(), ...words);
    assertEquals(world.backend.get(world.key), stays ? before : undefined);

    if (!stays) {
      assertEquals((cause as ValidMindAuthError).oauthError, "invalid_grant");
      assertStringIncludes((cause as Error).message, "invalid_grant (The session has ended).");
      assertEquals((await session.status()).refreshable, false);
      await rejectsWith("login_required", () => session.accessToken(), "no sign-in is stored");
      return;
    }
    const isFault = code === "provider_unavailable";
    if (!isFault) {
      await rejectsWith(code, () => session.accessToken(), ...words);
      assertEquals(
        [refreshes(world), (await session.status()).refreshable],
        [1, true],
        "not tried again for a minute by this session",
      );
      world.clock.advance(60_000);
    }
    assert(world.provider.isActive(await session.accessToken()));
    assertEquals([refreshes(world), world.codes.length], [2, 1]);
  });

  test.signedIn(`kind ${what}: a person who is there is ${code === "login_required" ? "asked once" : "not asked"}`, async (world) => {
    world.clock.advance(HOUR);
    world.provider.script.token.push(...stays ? [answer, answer] : [answer]);
    await rejectsWith(code, () => world.signIn({ interactive: false }));
    if (code !== "login_required") {
      await rejectsWith(code, () => world.signIn());
      return assertEquals(world.codes.length, 1);
    }
    const session = await world.signIn();
    assertEquals([refreshes(world), world.codes.length], [stays ? 2 : 1, 2]);
    assert(world.provider.isActive(await session.accessToken()));
  });
}

test.signedIn("kind refused: another sign-in is used at once, also within the minute", async ({ session, ...world }) => {
  world.clock.advance(HOUR);
  world.provider.script.token.push(refuse("E1234"));
  await rejectsWith("login_required", () => session.accessToken());
  world.provider.script.token.push(refuse("E1234"));
  await world.signIn(); // asks
  assertEquals(await session.accessToken(), world.stored().access_token);
});

test.signedIn("storm: after a new token that the API refuses, too, no 401 leads to a refresh for a minute", async ({ session, ...world }) => {
  world.api.reject(8);
  for (let call = 0; call < 4; call++) {
    const error = await assertRejects(() => session.get("thing"), ApiError);
    assertEquals([error.code, refreshes(world)], ["unauthorized", 1], `call ${call}`);
  }
  await renew(session); // by name
  assertEquals(refreshes(world), 2);
  world.clock.advance(HOUR); // an expiry still does
  await assertRejects(() => session.get("thing"), ApiError);
  assertEquals(refreshes(world), 4); // and after a minute also a 401
});

test("sign-out: it ends every session of the process that uses the entry, by whatever object", async (world) => {
  const storeId = crypto.randomUUID();
  const rows = new Map();
  const store = () => Object.assign(new SpyBackend(), { storeId, rows, persistent: true });
  const sessions = [
    await world.signIn({ credentialsBackend: store() }),
    await world.signIn({ credentialsBackend: store() }),
  ];
  const other = await world.signIn({ credentialsBackend: store(), profile: "other" });
  const { issuer, clientId } = world.provider;
  await clearOidcCredentials({ issuer, clientId, credentialsBackend: store() });
  for (const session of sessions) {
    assertEquals((await session.status()).signedIn, false);
    for (const use of [() => session.accessToken(), () => session.get("thing")]) {
      await rejectsWith("login_required", use, "no sign-in is stored");
    }
  }
  assertEquals([world.codes.length, world.api.requests.length], [2, 0]);
  assert(world.provider.isActive(await other.accessToken()));

  const again = await world.signIn({ credentialsBackend: store() });
  await sessions[0]!.clear();
  await rejectsWith("login_required", () => again.accessToken());
});

test("sign-out: a start that it overtakes does not keep what it has read", async (world) => {
  const backend = new SpyBackend();
  await world.signIn({ credentialsBackend: backend });
  const { issuer, clientId } = world.provider;
  const read = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const get = backend.get.bind(backend);
  backend.get = async (key) => {
    const entry = await get(key);
    if (key !== world.key) return entry;
    backend.get = get;
    read.resolve();
    await gate.promise;
    return entry;
  };
  const options = { credentialsBackend: backend, interactive: false };
  const starting = rejectsWith("login_required", () => world.signIn(options));
  await read.promise;
  await clearOidcCredentials({ issuer, clientId, credentialsBackend: backend });
  gate.resolve();
  await starting;
});

test("unstored: tokens of a new sign-in do not go over a sign-out while their write failed", async (world) => {
  const backend = new SpyBackend();
  const options = { credentialsBackend: backend, scope: "openid more" };
  await world.signIn({ ...options, scope: "openid" });
  let hasFailed = false;
  backend.before = async (method, key) => {
    if (method !== "put" || key !== world.key || hasFailed) return;
    await new Promise((resolve) => setTimeout(resolve)); // a write takes its time
    backend.rows.delete(world.key); // by another process
    throw new Error("down");
  };
  await rejectsWith("credentials_not_stored", () => world.signIn(options));
  hasFailed = true;
  const start = () => world.signIn({ ...options, interactive: false });
  await rejectsWith("login_required", start, "no sign-in is stored");
  assertEquals(backend.rows.size, 0);
});

test("put: only false says that nothing was stored, and only where isReplaced was given", async (world) => {
  const backend = new SpyBackend();
  let answer: boolean | undefined;
  const put = async (key: string, entry: never) => {
    if (answer === false && key === world.key) return false;
    await SpyBackend.prototype.put.call(backend, key, entry);
    return answer;
  };
  Object.assign(backend, { put });
  const session = await world.signIn({ credentialsBackend: backend });
  for (answer of [undefined, true]) {
    assertEquals(await renew(session), backend.rows.get(world.key)?.access_token);
  }
  answer = false;
  backend.before = (method, key) => {
    if (method === "get" && key === world.key && refreshes(world) > 2) backend.rows.delete(key);
  };
  const words = "removed while its token was refreshed";
  await rejectsWith("login_required", () => renew(session), words);
});

/** A process that stands still after the answer of the token endpoint, before it reads that. */
function stoppingProcess(seconds: number) {
  const { now } = Date;
  let [passed, stops] = [0, true];
  return {
    fetch: async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
      const response = await globalThis.fetch(url, init);
      if (stops && String(url).endsWith("/token")) passed += seconds * 1000;
      return response;
    },
    /** Runs from now on, and stands `ms` later than the time of the computer. */
    setTime: (ms: number) => [passed, stops] = [ms, false],
    clock: replace(Date, "now", () => now() + passed),
  };
}

for (const life of [60, 3600]) {
  for (const seconds of [1, 30, 50, 600]) {
    test(`stop of ${seconds} s between answer and reading: a token of ${life} s is not given out beyond its end`, async (world) => {
      const { now: _, ...options } = world.options;
      await createSession(options);
      const sent = Date.now();
      const { fetch, clock, setTime } = stoppingProcess(seconds);
      using _clock = clock;
      const session = await createSession({ ...options, fetch, interactive: false });
      world.provider.script.token.push(() => world.provider.tokens({ expires_in: life }));
      const renewing = renew(session);
      if (seconds >= life) {
        const error = await rejectsWith("provider_unavailable", () => renewing, "had ended");
        assert(!error.message.includes("ID token"));
      } else await renewing;
      const { access_token, expires_at } = world.stored();
      const end = Date.parse(expires_at!) - sent;
      assert(end > (life - 12) * 1000 && end < (life + 1) * 1000, `${end} ms`);
      setTime((life + 1) * 1000);
      assert(await session.accessToken() !== access_token);
    });
  }
}

/** The steps of a refresh at which a process may stand still. */
const STEPS = ["discovery", "jwks", "token"].flatMap((name) => [`before ${name}`, `after ${name}`])
  .concat("in the lock", "before the write", "after the write");

/** A refresh whose process stands still at one step, by the caller's clock. */
function stopAt({ clock, backend }: ScriptedWorld, step: string, seconds: number) {
  const stop = { stops: 0 };
  const pass = (now: string) => {
    if (now !== step) return;
    stop.stops++;
    clock.advance(seconds * 1000);
  };
  const credentialsBackend: OidcCredentialsBackend = {
    get: (key) => backend.get(key),
    async put(key, entry, options) {
      pass("before the write");
      const stored = await backend.put(key, entry, options);
      pass("after the write");
      return stored;
    },
    delete: (key) => backend.delete(key),
    async withLock(key, fn, options) {
      return await backend.withLock(key, () => (pass("in the lock"), fn()), options);
    },
  };
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    const name = /discovery|configuration$/.test(`${url}`)
      ? "discovery"
      : `${url}`.split("/").at(-1);
    pass(`before ${name}`);
    const response = await globalThis.fetch(url, init);
    pass(`after ${name}`);
    return response;
  };
  return { stop, options: { credentialsBackend, fetch, interactive: false } };
}

for (const step of STEPS) {
  test(`stop of 1, 30 and 60 s ${step}: no token is stored or given out beyond its end`, async (world) => {
    const { provider, clock } = world;
    const life = 60;
    await world.signIn();
    for (const seconds of [1, 30, 60]) {
      clock.advance(HOUR);
      let madeAt = 0;
      provider.script.token.push(() => {
        madeAt = clock.now();
        return provider.tokens({ expires_in: life });
      });
      const { stop, options } = stopAt(world, step, seconds);
      const session = await world.signIn(options).catch((error) => {
        assertEquals(error.code, "provider_unavailable", error.message);
      });
      const { access_token, expires_at } = world.stored();
      assert(stop.stops > 0, "it did not stop");
      assert(madeAt > 0 && Date.parse(expires_at!) <= madeAt + life * 1000, `${seconds} s`);
      clock.advance(Math.max(0, madeAt + life * 1000 - clock.now()));
      if (session) assert(await session.accessToken() !== access_token, `${seconds} s`);
    }
  });
}

for (const seconds of [7200, -7200]) {
  test(`a clock that is set by ${seconds} s during a refresh: an error by code, and the grant is kept`, async (world) => {
    const { now: _, ...options } = world.options;
    await createSession(options);
    const { fetch, clock, setTime } = stoppingProcess(seconds);
    using _clock = clock;
    const session = await createSession({ ...options, fetch, interactive: false });
    await rejectsWith("login_required", () => renew(session), "the refresh gave tokens");
    assert(world.provider.isActive(world.stored().refresh_token!));
    setTime(0);
    const later = await createSession({ ...options, interactive: false });
    assertEquals(await renew(later), world.stored().access_token);
  });
}

test("a third answer's Date does not change the time of the tokens", async (world) => {
  const { now: _, ...options } = world.options;
  const session = await createSession(options);
  const keys = await (await fetch(`${world.provider.issuer}/jwks`)).json();
  const date = new Date(Date.now() + HOUR).toUTCString();
  world.provider.script.jwks.push(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20)); // the last one to come
    return json(keys, 200, { date });
  });
  await renew(session);
  const left = Date.parse(world.stored().expires_at!) - Date.now();
  assert(Math.abs(left - HOUR) < 10_000, `${left} ms`);
});
