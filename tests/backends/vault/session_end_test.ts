// Faults of a login and a renewal that a real Vault does not make when it is told to.
import { assertEquals } from "@std/assert";
import type { VaultAuth } from "../../../backends/vault/options.ts";
import { VaultStore } from "../../../backends/vault/store.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { json } from "../../support/http_server.ts";
import { KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const AUTH: VaultAuth = { method: "approle", roleId: "notebooks", secretId: "Yz6Hc1Nd4Pb9Sg2T" };
const TTL_SECONDS = 600;

interface World {
  store: VaultStore;
  clock: FakeClock;
  /** The requests that were answered with the entry's absence, by their tokens. */
  tokens: string[];
  /** What is answered to a login, instead of a token. */
  refusal: Response | undefined;
  asked: number;
}

/** A store whose logins and renewals give the tokens `first`, `second`, … of ten minutes. */
async function open(isRenewable: boolean): Promise<World> {
  const clock = new FakeClock();
  const names = ["first", "second", "third"];
  const given = (input: string, init: RequestInit) => {
    const { pathname } = new URL(input);
    if (pathname.startsWith("/v1/auth/")) {
      world.asked++;
      if (world.refusal !== undefined) return world.refusal.clone();
      const auth = {
        client_token: names.shift(),
        renewable: isRenewable,
        lease_duration: TTL_SECONDS,
      };
      return json({ auth });
    }
    if (pathname.startsWith("/v1/sys/")) {
      return json({ data: { type: "kv", path: "secret/", options: { version: "2" } } });
    }
    world.tokens.push(new Headers(init.headers).get("x-vault-token")!);
    return json({ errors: [] }, 404);
  };
  const world = { clock, tokens: [], refusal: undefined, asked: 0 } as unknown as World;
  const options = { address: "https://vault.example.com", path: "users/anna", auth: AUTH };
  const fetch =
    ((...args: [string, RequestInit]) =>
      Promise.resolve(given(...args))) as typeof globalThis.fetch;
  world.store = await VaultStore.open({ ...options, fetch }, clock);
  return world;
}

const REFUSALS: [
  what: string,
  code: "backend_auth_failed" | "backend_unavailable",
  () => Response,
][] = [
  ["is refused", "backend_auth_failed", () => json({ errors: ["invalid secret id"] }, 400)],
  ["gets no answer", "backend_unavailable", () => json({ errors: ["internal error"] }, 500)],
];

for (const isRenewable of [true, false]) {
  for (const [what, code, refusal] of REFUSALS) {
    const token = isRenewable ? "renewable token" : "token";
    Deno.test({
      name: `a ${token} is used to its end where the next one ${what}, and then it is an error`,
      permissions: "none",
      async fn() {
        const world = await open(isRenewable);
        const { store, clock, tokens } = world;
        world.refusal = refusal();
        clock.advance(TTL_SECONDS * 700);
        for (let i = 0; i < 5; i++) assertEquals(await store.get(KEY), undefined);
        assertEquals(tokens, Array(5).fill("first"));
        clock.advance(TTL_SECONDS * 301);
        await rejectsWith(code, () => store.get(KEY));
        world.refusal = undefined;
        assertEquals(await store.get(KEY), undefined);
        assertEquals(tokens.at(-1), "second");
        store.close();
      },
    });
  }
}

Deno.test({
  name: "where the next token is refused it is asked for again later, and not with each request",
  permissions: "none",
  async fn() {
    const world = await open(false);
    const { store, clock, tokens } = world;
    const before = world.asked;
    world.refusal = json({ errors: ["invalid secret id"] }, 400);
    clock.advance(TTL_SECONDS * 700);
    for (let i = 0; i < 5; i++) await store.get(KEY);
    assertEquals(world.asked - before, 1);
    world.refusal = undefined;
    clock.advance(TTL_SECONDS * 151);
    await store.get(KEY);
    assertEquals([world.asked - before, tokens.at(-1)], [2, "second"]);
    store.close();
  },
});
