import { assert, assertEquals, assertRejects } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { createSession } from "../../../client/create_session.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const CORRUPT = new CredentialsBackendError("backend_corrupt", "Cannot read it.");
const LOCKED = new CredentialsBackendError("backend_locked", "Cannot lock it.");

/** A store of rows that lists its keys. */
class ListingBackend extends SpyBackend {
  async *list(): AsyncGenerator<string> {
    yield* [...this.rows.keys()];
  }
}

function row(clientId: string): OidcCredentials {
  return { issuer: "https://a.example.com", client_id: clientId, access_token: `of-${clientId}` };
}

const UNREADABLE: [what: string, error: unknown][] = [
  ["is corrupt", CORRUPT],
  ["a bug of the backend's", new Error("boom")],
  ["may not be read", new CredentialsBackendError("backend_denied", "Cannot read it.")],
];

for (const [what, problem] of UNREADABLE) {
  test(`clear: an entry that cannot be read (${what}) is removed unread`, async (world) => {
    const backend = new ListingBackend();
    for (const [all, revoke] of [[false, false], [false, true], [true, false], [true, true]]) {
      backend.before = undefined;
      backend.rows.clear();
      const session = await createSession({ ...world.options, credentialsBackend: backend });
      backend.rows.set("other", row("other"));
      backend.before = (method, key) => {
        if (method === "get" && key === world.key) throw problem;
      };
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
  });
}

Deno.test("clear all: one that cannot be removed does not save the others, and is told", async () => {
  const backend = new ListingBackend();
  for (const id of ["a", "b", "c"]) backend.rows.set(id, row(id));
  const problems = [CORRUPT, LOCKED];
  backend.before = (method, key) => {
    if (method === "delete" && key !== "b") throw problems[key === "a" ? 0 : 1];
  };
  const run = () => clearOidcCredentials({ all: true, credentialsBackend: backend });
  assertEquals(await assertRejects(run), CORRUPT); // the first
  assertEquals([...backend.rows.keys()], ["a", "c"]);
});

const LOCK_FAULTS: [what: string, error: unknown][] = [
  ["another holds it", LOCKED],
  ["a bug of the backend's", new TypeError("lock is not a function")],
];

for (const [what, problem] of LOCK_FAULTS) {
  test(`clear: a lock that cannot be had (${what}) does not keep the entries`, async (world) => {
    let isBroken = false;
    const backend = Object.assign(new ListingBackend(), {
      withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
        return isBroken ? Promise.reject(problem) : fn();
      },
    });
    const options = { ...world.options, credentialsBackend: backend };
    const session = await createSession(options);
    isBroken = true;
    const result = await session.clear({ revoke: true });
    assertEquals([result.keys, result.revocation], [[world.key], "revoked"]);
    backend.rows.set("other", row("other"));
    const all = await clearOidcCredentials({ all: true, credentialsBackend: backend });
    assertEquals([all.keys, backend.rows.size], [["other"], 0]);
  });
}

const ISSUERLESS: [what: string, change: Record<string, unknown>][] = [
  ["issuer", { issuer: undefined }],
  ["client id", { client_id: undefined }],
];

for (const [what, change] of ISSUERLESS) {
  test(`clear all: tokens of an entry without ${what} go to nobody`, async (world) => {
    await withTempHome(async () => {
      Deno.env.set("VM_OIDC_ISSUER", world.provider.issuer);
      Deno.env.set("VM_OIDC_CLIENT_ID", world.provider.clientId);
      const backend = new ListingBackend();
      const entry = { ...row("x"), issuer: world.provider.issuer, ...change };
      backend.rows.set("odd", entry as unknown as OidcCredentials);
      const fetch = spyFetch();
      const all = { all: true, revoke: true, credentialsBackend: backend, fetch };
      const { keys, revocation, reason } = await clearOidcCredentials(all);
      assertEquals([keys, revocation, backend.rows.size], [["odd"], "failed", 0]);
      assertEquals([world.provider.requests, fetch.urls], [[], []]);
      assert(reason?.includes("names no issuer and client"), reason);
    });
  });
}

test("clear: the session forgets its tokens also where the store keeps them", async (world) => {
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.before = (method) => {
    if (method === "delete") throw CORRUPT;
  };
  assertEquals(await assertRejects(() => session.clear()), CORRUPT);
  const { signedIn, subject } = await session.status();
  assertEquals([signedIn, subject], [false, undefined]);
  backend.before = undefined;
  await session.clear();
  await rejectsWith("login_required", () => session.accessToken());
});
