import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { clearOidcCredentials, getSession, init } from "../../../client/init.ts";
import { tempDir } from "../../support/temp_home.ts";
import { test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import {
  oauthError,
  resetConnection,
  type ScriptHandler,
} from "../../support/scripted_provider.ts";
import { tokensOf } from "../../support/entries.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { storeError } from "../../support/error_parts.ts";

const CORRUPT = storeError("backend_corrupt", "Cannot read it.");
const LOCKED = storeError("backend_locked", "Cannot lock it.");

/** A store of rows that lists its keys. */
class ListingBackend extends SpyBackend {
  async *list(): AsyncGenerator<string> {
    yield* [...this.rows.keys()];
  }
}

function row(clientId: string): OidcCredentials {
  return { issuer: "https://a.example.com", client_id: clientId, access_token: `of-${clientId}` };
}

test("clear: an entry that cannot be read, whatever the error, is removed unread", async (world) => {
  const denied = storeError("backend_denied", "Cannot read it.");
  const backend = new ListingBackend();
  for (const problem of [CORRUPT, denied, new Error("a bug of the backend's")]) {
    for (const [all, revoke] of [[false, false], [false, true], [true, false], [true, true]]) {
      backend.before = undefined;
      backend.rows.clear();
      const session = await world.signIn({ credentialsBackend: backend });
      backend.rows.set("other", row("other"));
      backend.fail("get", problem, world.key);
      world.provider.reset();
      const result = all
        ? await clearOidcCredentials({ all, revoke: revoke!, credentialsBackend: backend })
        : await session.clear({ revoke: revoke! });
      assertEquals(result.keys, all ? [world.key, "other"] : [world.key]);
      assertEquals(result.revocation, revoke ? "failed" : "not_requested");
      assertEquals([...backend.rows.keys()], all ? [] : ["other"]);
      assertEquals(world.provider.requests, []);
      if (!all && revoke) assertEquals(result.reason, "the stored tokens could not be read");
    }
  }
});

Deno.test("clear all: one that cannot be removed does not save the others, and is told", async () => {
  const backend = new ListingBackend();
  for (const id of ["a", "b", "c", "probe|1"]) backend.rows.set(id, row(id));
  const problems = [CORRUPT, LOCKED];
  backend.before = (method, key) => {
    if (method === "delete" && key !== "b") throw problems[key === "a" ? 0 : 1];
  };
  const run = () => clearOidcCredentials({ all: true, credentialsBackend: backend });
  assertEquals(await assertRejects(run), CORRUPT); // the first
  assertEquals([...backend.rows.keys()], ["a", "c", "probe|1"]);
});

test("clear: a lock that cannot be had does not keep the entries", async (world) => {
  for (const problem of [LOCKED, new TypeError("a bug of the backend's")]) {
    let isBroken = false;
    const backend = Object.assign(new ListingBackend(), {
      withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
        return isBroken ? Promise.reject(problem) : fn();
      },
    });
    const session = await world.signIn({ credentialsBackend: backend });
    isBroken = true;
    const result = await session.clear({ revoke: true });
    assertEquals([result.keys, result.revocation], [[world.key], "revoked"]);
    backend.rows.set("other", row("other"));
    const all = await clearOidcCredentials({ all: true, credentialsBackend: backend });
    assertEquals([all.keys, backend.rows.size], [["other"], 0]);
  }
});

for (const name of ["issuer", "client_id"]) {
  test(`clear all: tokens of an entry without ${name} go to nobody`, async (world) => {
    Deno.env.set("VM_OIDC_ISSUER", world.provider.issuer);
    Deno.env.set("VM_OIDC_CLIENT_ID", world.provider.clientId);
    const backend = new ListingBackend();
    const entry = { ...row("x"), issuer: world.provider.issuer, [name]: undefined };
    backend.rows.set("odd", entry as unknown as OidcCredentials);
    const fetch = spyFetch();
    const all = { all: true, revoke: true, credentialsBackend: backend, fetch };
    const { keys, revocation, reason } = await clearOidcCredentials(all);
    assertEquals([keys, revocation, backend.rows.size], [["odd"], "failed", 0]);
    assertEquals([world.provider.requests, fetch.urls], [[], []]);
    assert(reason?.includes("names no issuer and client"), reason);
  });
}

test("clear: the session forgets its tokens also where the store keeps them", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  backend.fail("delete", CORRUPT);
  assertEquals(await assertRejects(() => session.clear()), CORRUPT);
  const { signedIn, subject } = await session.status();
  assertEquals([signedIn, subject], [false, undefined]);
  backend.before = undefined;
  await session.clear();
  await rejectsWith("login_required", () => session.accessToken());
});

test("clear: a removal that was done without an answer is tried again, and reported", async (world) => {
  for (const isReadable of [true, false]) {
    const backend = new SpyBackend();
    const session = await world.signIn({ credentialsBackend: backend });
    backend.before = (method, key) => {
      const isGone = !backend.rows.has(world.key);
      if (method === "delete" && backend.rows.delete(key)) throw LOCKED;
      if (method === "get" && isGone && !isReadable) throw CORRUPT; // the first look was enough
    };
    const result = { keys: [world.key], revocation: "revoked" };
    assertEquals<unknown>(await session.clear({ revoke: true }), result);
  }
});

test("clear: a sign-out that failed can be repeated, also where options alone name the entry", async (world) => {
  const backend = new SpyBackend();
  const session = await init({ ...world.options, credentialsBackend: backend, model: "cl-1" });
  backend.fail("delete", LOCKED);
  assertEquals(await assertRejects(() => clearOidcCredentials()), LOCKED);
  assertEquals((await session.status()).signedIn, false);
  backend.before = undefined;
  assertEquals((await clearOidcCredentials()).keys, [world.key]);
  await rejectsWith("no_active_session", () => getSession());
});

test.realSignedIn("clear: the entry is gone, the provider is not asked", async ({ session, ...world }) => {
  const { access_token } = world.stored();
  world.provider.reset();
  assertEquals(await session.clear(), { keys: [world.key], revocation: "not_requested" });
  assertEquals([world.backend.get(world.key), world.provider.requests], [undefined, []]);
  assertEquals(await world.provider.isActive(access_token), true);
  await rejectsWith("login_required", () => session.accessToken());
  assertEquals(await session.clear(), { keys: [], revocation: "not_requested" });
  const again = await session.clear({ revoke: true });
  assertEquals(again, { keys: [], revocation: "nothing_to_revoke" });
  assertEquals(world.provider.requests, []);
});

const refuse = () => oauthError("unsupported_token_type");
/** Answers of a revocation endpoint, where there is one, and what the result says. */
const UNREVOKED: [
  what: string,
  answers: ScriptHandler[] | undefined,
  result: string,
  word: string,
][] = [
  ["a provider without revocation", undefined, "not_supported", "no revocation endpoint"],
  ["a provider that is down", [resetConnection, resetConnection], "failed", "http://"],
  ["a refusal", [refuse], "failed", "unsupported_token_type"],
  [
    "an access token that is not revoked by itself",
    [() => new Response(), refuse],
    "revoked",
    "does not revoke this access token by itself",
  ],
  // As better-auth answers, which ends it with the refresh token.
  [
    "an access token that has ended with the refresh token",
    [() => new Response(), () => oauthError("invalid_request")],
    "revoked",
    "does not revoke this access token by itself",
  ],
];

for (const [what, answers, expected, word] of UNREVOKED) {
  test(`clear: ${what} is told, and the entry is gone`, async (world) => {
    if (answers === undefined) world.provider.discovery = { revocation_endpoint: undefined };
    world.provider.script.revocation.push(...answers ?? []);
    const session = await world.signIn();
    const secrets = tokensOf(world.stored());
    const result = await session.clear({ revoke: true });
    assertEquals([result.keys, result.revocation], [[world.key], expected]);
    assertStringIncludes(result.reason!, word);
    assertEquals(world.backend.get(world.key), undefined);
    assertNoSecret(result, secrets);
  });
}

/** Of another program, one of them in the form of ours. */
const NOT_OURS = [
  '{"credentials": {"me": "password"}, "theme": "dark"}',
  '{"version": 1, "credentials": ["a", "b"]}',
  "{ broken",
];

test("clear: a file that is not ours stays as it was", async (world) => {
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const credentialsBackend = new FileCredentialsBackend({ path });
  const session = await world.signIn({ credentialsBackend });
  const { issuer, clientId } = world.provider;
  const named = { issuer, clientId, credentialsBackend };
  for (const text of NOT_OURS) {
    await Deno.writeTextFile(path, text);
    for (const clear of [() => session.clear(), () => clearOidcCredentials(named)]) {
      if (text === NOT_OURS[0]) await clear().catch(() => undefined);
      else await rejectsWith("backend_corrupt", clear, "all: true");
      assertEquals(await Deno.readTextFile(path), text);
    }
  }
});
