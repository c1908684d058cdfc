import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "@validmind/auth";
import { json } from "../../support/http_server.ts";
import { makeKey } from "../../support/jwt.ts";
import {
  answerWith,
  HOUR,
  refreshes,
  renew,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { paths } from "../../support/request_log.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tempDir } from "../../support/temp_home.ts";
import { ScriptedVault } from "../../backends/vault/scripted_vault.ts";

/** Counts how often this process opens a file, by each way that Deno has. */
function countOpens(path: string) {
  let opens = 0;
  const ways = ["openSync", "open", "readTextFileSync", "readFileSync"] as const;
  const spies = ways.map((way) => {
    const original = Deno[way] as (...args: unknown[]) => unknown;
    const spy = (...args: unknown[]) => {
      if (args[0] === path) opens++;
      return original(...args);
    };
    return replace(Deno, way, spy as never);
  });
  return {
    take: () => [opens, opens = 0][0],
    [Symbol.dispose]: () => spies.forEach((spy) => spy[Symbol.dispose]()),
  };
}

test("order: a start opens the file once, and a refresh three times", async (world) => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const store = () => ({ credentialsBackend: new FileCredentialsBackend({ path }) });
  await world.signIn(store());
  using opens = countOpens(path);
  const session = await world.signIn({ ...store(), interactive: false });
  assertEquals(opens.take(), 1);
  await renew(session); // the proof of the lock, the look under it, the write
  assertEquals(opens.take(), 3);
  await renew(session);
  assertEquals(opens.take(), 3);
  world.clock.advance(HOUR);
  await world.signIn({ ...store(), interactive: false }); // and the start's own look
  assertEquals(opens.take(), 4);
});

test("order: a refresh in Vault is five requests, three of them before the refresh token is sent", async (world) => {
  const vault = new ScriptedVault();
  await world.signIn();
  // Not by a sign-in there: that looks at the entry beside its own write, and may look again later.
  await (await vault.open()).put(world.key, world.stored());
  world.clock.advance(HOUR);
  const later = await vault.open(); // the mount is looked at
  await later.withLock(world.key, () => Promise.resolve()); // the one of the sign-in is free
  vault.asked();
  let before: string[] = [];
  world.provider.script.token.push(() => void (before = vault.asked()));
  await world.signIn({ credentialsBackend: later, interactive: false });
  assertEquals(before, ["GET data", "GET data", "POST data"]);
  assertEquals(vault.asked(), ["POST data", "POST data"]);
});

test("order: the endpoints are known before the lock, and the keys come beside the tokens", async (world) => {
  const steps: string[] = [];
  const backend = Object.assign(new SpyBackend(), {
    async withLock<T>(_: string, fn: () => Promise<T>): Promise<T> {
      steps.push("lock");
      return await fn().finally(() => steps.push("unlock"));
    },
  });
  await world.signIn({ credentialsBackend: backend });
  world.clock.advance(HOUR);
  const arrived = Promise.withResolvers<void>();
  world.provider.script.discovery.push(() => void steps.push("discovery"));
  world.provider.script.jwks.push(() => (steps.push("keys"), arrived.resolve()));
  world.provider.script.token.push(async () => {
    await arrived.promise; // would hang, were the keys asked for after the tokens
    steps.push("tokens");
  });
  steps.length = 0;
  await world.signIn({ credentialsBackend: backend, interactive: false });
  assertEquals(steps, ["discovery", "lock", "keys", "tokens", "unlock"]);
});

test.signedIn("order: a provider that is down does not keep a session from what another one has stored", async ({ session, ...world }) => {
  const other = await world.signIn({ fetch: () => Promise.reject(new TypeError("down")) });
  await renew(session);
  assertEquals(await renew(other), world.stored().access_token);
});

/** Lets the keys wait until they are let go. */
function holdKeys({ provider }: ScriptedWorld) {
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  provider.script.jwks.push(() => (asked.resolve(), gate.promise));
  return { asked: asked.promise, release: gate.resolve };
}

/** Waits until a condition holds that a request leads to. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test.signedIn("order: a new refresh token is stored before late keys, beside the old bearer with its old end", async ({ session, ...world }) => {
  const before = world.stored();
  const keys = holdKeys(world);
  const renewing = renew(session);
  await keys.asked;
  await until(() => world.stored().refresh_token !== before.refresh_token);
  const { refresh_token, ...rest } = world.stored();
  assertEquals({ ...rest, refresh_token: before.refresh_token }, before);
  keys.release();
  const token = await renewing;
  const after = world.stored();
  assertEquals([after.access_token, after.refresh_token], [token, refresh_token]);
  assert(token !== before.access_token && world.provider.isActive(token));
});

test.signedIn("order: a failed check leaves the first write, and its tokens are not given out", async ({ session, ...world }) => {
  const before = world.stored();
  const key = await makeKey();
  const id_token = await world.provider.idToken({}, { key });
  answerWith(world, { access_token: "unverified", refresh_token: "rotated", id_token });
  const keys = holdKeys(world);
  const renewing = rejectsWith("login_required", () => renew(session), "no key of the provider");
  await until(() => world.stored().refresh_token === "rotated");
  keys.release();
  await renewing;
  assertEquals(world.stored(), { ...before, refresh_token: "rotated" });
});

for (const isAfter of [false, true]) {
  const when = isAfter ? "after" : "before";
  test.signedIn(`order: a sign-out ${when} the first write wins, and the new tokens are revoked`, async ({ session, ...world }) => {
    const { refresh_token } = world.stored();
    const obtained = await world.provider.tokens();
    const tokens = await obtained.clone().json();
    world.provider.script.token.push(() => {
      if (!isAfter) world.backend.delete(world.key); // by another process
      return obtained;
    });
    const keys = holdKeys(world);
    const renewing = rejectsWith("login_required", () => renew(session), "was removed");
    await keys.asked;
    if (isAfter) await until(() => world.stored().refresh_token !== refresh_token);
    world.backend.delete(world.key);
    keys.release();
    await renewing;
    assertEquals(world.backend.get(world.key), undefined);
    assertEquals(world.provider.isActive(tokens.refresh_token), false);
  });
}

test("order: a first write that fails loses nothing, and a second one comes", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  const keys = holdKeys(world);
  let failed = 0;
  backend.before = (method, key) => {
    if (method !== "put" || key !== world.key || failed === 2) return;
    failed++;
    throw new Error("down");
  };
  const renewing = renew(session);
  await until(() => failed === 2);
  keys.release();
  assertEquals(await renewing, backend.rows.get(world.key)?.access_token);
});

for (const [tookMs, tries] of [[0, 5], [25_000, 3]] as const) {
  test(`order: others that always change the entry end a refresh by an error, after ${tries} tries`, async (world) => {
    const backend = new SpyBackend();
    const session = await world.signIn({ credentialsBackend: backend });
    world.clock.advance(HOUR);
    let changes = 0;
    world.provider.reset();
    backend.before = (method, key) => {
      if (method !== "put" || key === world.key) return; // before each probe
      const row = backend.rows.get(world.key)!;
      backend.rows.set(world.key, { ...row, refresh_token: `theirs-${++changes}` });
      world.clock.advance(tookMs);
    };
    const words = [`after ${tries} tries in`, "another sign-in each time"];
    await rejectsWith("backend_unavailable", () => session.accessToken(), ...words);
    assertEquals([changes, refreshes(world)], [tries, 0]);
  });
}

test.signedIn("order: a refused refresh leaves no request for the keys behind", async ({ session, ...world }) => {
  const keys = holdKeys(world);
  world.provider.script.token.push(async () => {
    await keys.asked;
    return oauthError("invalid_grant");
  });
  await rejectsWith("login_required", () => renew(session));
  keys.release();
});

/** An ID token whose key was replaced, under the `kid` of the old one, as Ory Hydra does. */
async function rotateKey(world: ScriptedWorld, isPublished: boolean) {
  const key = await makeKey();
  const { kid } = world.provider.signingKey.publicJwk as { kid: string };
  const published = [world.provider.signingKey.publicJwk, ...isPublished ? [key.publicJwk] : []];
  world.provider.script.jwks.push(...[1, 2].map(() => () => json({ keys: published })));
  const id_token = await world.provider.idToken({}, { key, header: { kid } });
  answerWith(world, { access_token: "new", refresh_token: "rotated", id_token });
  return id_token;
}

test.signedIn("replaced key under the old kid: every published key counts", async ({ session, ...world }) => {
  const id_token = await rotateKey(world, true);
  world.provider.reset();
  assertEquals([await renew(session), world.stored().id_token], ["new", id_token]);
  assertEquals(paths(world.provider.requests).filter((path) => path === "/jwks").length, 1);
});

test.signedIn("replaced key under the old kid: no token counts where the keys are out of reach by then", async ({ session, ...world }) => {
  const before = world.stored();
  await rotateKey(world, false);
  world.provider.script.jwks.splice(1, 1, ...[1, 2, 3].map(() => () => json({}, 503)));
  await rejectsWith("provider_unavailable", () => renew(session));
  assertEquals(world.stored(), { ...before, refresh_token: "rotated" });
});

test("replaced key that is not published: a person who is there is asked, once", async (world) => {
  await world.signIn();
  const before = world.stored();
  world.clock.advance(HOUR);
  await rotateKey(world, false);
  const start = () => world.signIn({ interactive: false });
  const error = await rejectsWith("login_required", start, "no key of the provider", "init()");
  assertEquals((error.cause as { code?: string }).code, "id_token_invalid");
  assertEquals(world.stored(), { ...before, refresh_token: "rotated" });
  let atPrompt: unknown;
  const onDeviceCode = () => {
    atPrompt = world.stored().refresh_token;
    world.codes.push({} as never);
  };
  const { kid } = world.provider.signingKey.publicJwk as { kid: string };
  const id_token = await world.provider.idToken({}, { key: await makeKey(), header: { kid } });
  answerWith(world, { refresh_token: "rotated again", id_token });
  const session = await world.signIn({ onDeviceCode });
  assertEquals([atPrompt, world.codes.length], ["rotated again", 2]);
  assert(world.provider.isActive(await session.accessToken()));
});
