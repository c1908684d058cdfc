import { assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type { VaultClient } from "../../../backends/vault/client.ts";
import type { VaultRequest } from "../../../backends/vault/error.ts";
import { type VaultLogin, VaultSession } from "../../../backends/vault/session.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const permissions = "none";
const READ: VaultRequest = { action: "read", method: "GET", path: "secret/data/x" };

/** A session of which every answer comes at once, so that requests meet in every step. */
function world({ renews = false, hidesLife = false } = {}) {
  const clock = new FakeClock();
  const state = {
    logins: 0,
    renewals: 0,
    live: new Set<string>(),
    loginFault: undefined as unknown,
  };
  const token = (value: string) => ({ value, isRenewable: renews, ttlMs: 60_000 });
  const login = {
    canRepeat: true,
    run: () => {
      if (state.loginFault) return Promise.reject(state.loginFault);
      const value = `token-${++state.logins}`;
      state.live.add(value);
      return Promise.resolve(token(value));
    },
    renew: ({ value }: { value: string }) => {
      state.renewals++;
      return Promise.resolve(token(value));
    },
    isLive: (value: string) => Promise.resolve(!hidesLife && state.live.has(value)),
    ended: () => new CredentialsBackendError("backend_auth_failed", "Cannot x: ended. Do y."),
  };
  const client = {
    place: "Vault at test",
    request: ({ token = "", path }: VaultRequest) =>
      Promise.resolve({ status: state.live.has(token) && path !== "denied" ? 200 : 403, body: {} }),
    close: () => {},
  };
  const session = new VaultSession(
    client as unknown as VaultClient,
    login as unknown as VaultLogin,
    clock.now,
  );
  return { clock, state, session };
}

Deno.test({
  name: "requests at the same time share the login, its renewal and its repetition",
  permissions,
  async fn() {
    const { clock, state, session } = world({ renews: true });
    const all = () => Promise.all(Array.from({ length: 5 }, () => session.request(READ)));
    await all();
    assertEquals(state.logins, 1);
    state.live.clear();
    const answers = await all();
    assertEquals(answers.map(({ status }) => status), Array(5).fill(200));
    assertEquals(state.logins, 2);
    clock.advance(50_000);
    await all();
    assertEquals([state.logins, state.renewals], [2, 1]);
  },
});

Deno.test({
  name: "a login is repeated once for a request, and never without end",
  permissions,
  async fn() {
    const { state, session } = world({ hidesLife: true });
    await rejectsWith("backend_denied", () => session.request({ ...READ, path: "denied" }));
    assertEquals(state.logins, 2);
  },
});

Deno.test({
  name: "a login that failed is tried again at the next use",
  permissions,
  async fn() {
    const { state, session } = world();
    state.loginFault = new CredentialsBackendError("backend_unavailable", "Cannot x: y. Do z.");
    await rejectsWith("backend_unavailable", () => session.request(READ));
    state.loginFault = undefined;
    assertEquals((await session.request(READ)).status, 200);
  },
});

Deno.test({
  name: "a closed session logs in anew",
  permissions,
  async fn() {
    const { state, session } = world();
    await session.request(READ);
    session.close();
    await session.request(READ);
    assertEquals(state.logins, 2);
  },
});

Deno.test({
  name: "Vault is asked for the life of a given token once it is used for 30 seconds, not before",
  permissions,
  async fn() {
    const clock = new FakeClock();
    const asked: string[] = [];
    const lives = [new Error("no answer"), 90_000];
    const client = {
      request: ({ path }: VaultRequest) => Promise.resolve({ status: 200, body: { path } }),
    };
    const login = {
      run: () => Promise.resolve({ value: "given", isRenewable: false, isUnasked: true }),
      lookUp: (value: string) => {
        asked.push(value);
        const ttlMs = lives.shift();
        if (ttlMs instanceof Error) return Promise.reject(ttlMs);
        return Promise.resolve({ value, isRenewable: true, ttlMs });
      },
      renew: (token: { value: string }) => {
        asked.push("renewal");
        return Promise.resolve({ ...token, ttlMs: 900_000 });
      },
    };
    const session = new VaultSession(
      client as unknown as VaultClient,
      login as unknown as VaultLogin,
      clock.now,
    );
    const after = async (ms: number) => {
      clock.advance(ms);
      await session.request(READ);
      return asked.splice(0);
    };
    assertEquals(await after(0), []);
    assertEquals(await after(29_000), []);
    assertEquals(await after(1_000), ["given"]); // without an answer: the token still serves
    assertEquals(await after(29_000), []);
    assertEquals(await after(1_000), ["given"]);
    assertEquals(await after(59_000), []);
    assertEquals(await after(1_000), ["renewal"]);
  },
});
