import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
import { MemoryCredentialsBackend } from "@validmind/auth";
import { assertEquals } from "@std/assert";
import { serve } from "../../client/sign_in/connection.ts";
import { entry, KEY } from "../support/entries.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { replace } from "../support/replace.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { tempDir } from "../support/temp_home.ts";
import { ScriptedVault } from "../backends/vault/scripted_vault.ts";

/** Notes each time that a timer gets, in milliseconds. */
function watchTimers() {
  const times = new Set<number>();
  const stack = new DisposableStack();
  const watch = (object: object, name: string, at: number) => {
    const timer = Reflect.get(object, name) as (...args: unknown[]) => unknown;
    const watched = (...args: unknown[]) => {
      times.add(Number(args[at]));
      return timer.apply(object, args);
    };
    stack.use(replace(object, name as never, watched as never));
  };
  watch(globalThis, "setTimeout", 1);
  watch(globalThis, "setInterval", 1);
  watch(AbortSignal, "timeout", 0);
  return { times, [Symbol.dispose]: () => stack.dispose() };
}

/** What runs with default options, and the times that it limits. */
const LIMITS: Record<string, [run: () => Promise<unknown>, ...times: number[]]> = {
  "a browser that asks, and one that says nothing": [
    async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const body = "x".repeat(8_000_000);
      const server = serve([listener], () => {
        void server[Symbol.asyncDispose](); // the answer gets out all the same
        return { status: 200, body };
      });
      const response = await fetch(`http://127.0.0.1:${listener.addr.port}/`);
      assertEquals((await response.text()).length, body.length);
    },
    10_000,
    1000,
  ],
  "a store's program": [
    async () => {
      await using folder = await tempDir();
      const helper = new HelperCredentialsBackend({ program: "false", lockFolder: folder.path });
      await rejectsWith("backend_unavailable", () => helper.get(KEY), "ended with code 1");
    },
    30_000,
    250,
  ],
  "a lock within the process": [async () => {
    const store = new MemoryCredentialsBackend();
    await Promise.all(
      [1, 2].map(() => store.withLock(KEY, async () => await store.put(KEY, entry()))),
    );
  }, 30_000],
  "Vault, and its lock": [
    async () => {
      const vault = new ScriptedVault();
      const store = await vault.open();
      await store.withLock(KEY, async () => void await store.put(KEY, entry()));
    },
    15_000,
    2000,
    5000,
  ],
  "a sign-in, and a call": [
    async () => {
      await using world = await scriptedProviderWorld();
      const session = await world.signIn();
      await session.get("thing");
      await session.accessToken({ forceRefresh: true });
    },
    30_000,
    10,
  ],
};

for (const [what, [run, ...expected]] of Object.entries(LIMITS)) {
  Deno.test(`limits: ${what}`, async () => {
    using timers = watchTimers();
    await run();
    assertEquals(timers.times, new Set(expected));
  });
}
