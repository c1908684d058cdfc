import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { getSession, init } from "../../../client/init.ts";
import { hang } from "../../support/http_server.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { HOUR, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const REASON = new Error("enough");

/** A gate that the provider's next token answer waits at. */
function gated(answer?: () => Response) {
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const handler = async () => {
    arrived.resolve();
    await gate.promise;
    return answer?.();
  };
  return { arrived: arrived.promise, open: () => gate.resolve(), handler };
}

/** Counts what no one catches while `run` runs. */
async function unhandled(run: () => Promise<void>): Promise<number> {
  let count = 0;
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    count++;
  };
  globalThis.addEventListener("unhandledrejection", listener);
  try {
    await run();
    await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    globalThis.removeEventListener("unhandledrejection", listener);
  }
  return count;
}

test.signedIn("signals: an aborted one starts no refresh, and leaves no rejection behind", async ({ session, ...world }) => {
  world.provider.reset();
  world.provider.script.token.push(() => oauthError("server_error", 500));
  const signal = AbortSignal.abort(REASON);
  const count = await unhandled(async () => {
    const run = () => session.accessToken({ forceRefresh: true, signal });
    assertEquals(await assertRejects(run), REASON);
  });
  assertEquals([count, world.provider.requests], [0, []]);
});

test.signedIn("signals: a refresh that fails after its only caller has left is nobody's error", async ({ session, ...world }) => {
  const { arrived, open, handler } = gated(() => oauthError("server_error", 500));
  world.provider.script.token.push(handler);
  const controller = new AbortController();
  const count = await unhandled(async () => {
    const waiting = session.accessToken({ forceRefresh: true, signal: controller.signal });
    await arrived;
    controller.abort(REASON);
    assertEquals(await assertRejects(() => waiting), REASON);
    open();
    await world.provider.waitFor(({ status }) => status === 500);
  });
  assertEquals(count, 0);
  assertEquals(await session.accessToken(), world.stored().access_token);
});

for (const use of ["get", "post", "fetch"] as const) {
  test.signedIn(`signals: that of ${use} ends the wait for a refresh`, async ({ session, ...world }) => {
    for (const when of ["before", "after a 401"] as const) {
      if (when === "before") world.clock.advance(HOUR);
      else world.api.reject(1);
      const { arrived, open, handler } = gated();
      world.provider.script.token.push(handler);
      const controller = new AbortController();
      const { signal } = controller;
      const waiting = use === "get"
        ? session.get("thing", {}, { signal })
        : use === "post"
        ? session.post("thing", { json: {}, signal })
        : session.fetch("thing", { signal });
      await arrived;
      controller.abort(REASON);
      assertEquals(await assertRejects(() => waiting), REASON);
      open();
      await session.accessToken({ forceRefresh: true }); // joins the one that still runs
    }
    assertEquals(world.api.requests.map(({ status }) => status), [401]);
  });
}

test("signals: init's own ends the ping, and leaves no active session", async (world) => {
  const controller = new AbortController();
  world.api.script.push((request) => {
    controller.abort(REASON);
    return hang(request);
  });
  const run = () => init({ ...world.options, model: "m", signal: controller.signal });
  assertEquals(await assertRejects(run), REASON);
  await rejectsWith("no_active_session", () => getSession());
  assert(world.provider.isActive(world.stored().access_token)); // the sign-in was done
});

test("signals: one ends the wait for a backend that hangs, at start and before asking", async (world) => {
  for (const isProbe of [false, true]) {
    const backend = new SpyBackend();
    const arrived = Promise.withResolvers<void>();
    backend.before = (method, key) => {
      if (method !== "get" || key.startsWith("probe|") !== isProbe) return;
      arrived.resolve();
      return new Promise(() => {});
    };
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = createSession({ ...world.options, credentialsBackend: backend, signal });
    await arrived.promise;
    controller.abort(REASON);
    assertEquals(await assertRejects(() => waiting), REASON);
  }
  assertEquals([world.provider.requests, world.codes], [[], []]);
});
