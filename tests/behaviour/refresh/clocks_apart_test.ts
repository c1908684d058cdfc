import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOUR = 3600_000;

/** A session by the clock of the world, and one at the same sign-in whose clock is hours ahead. */
async function clocksApart(bearer: "access_token" | "id_token") {
  const world = await scriptedProviderWorld();
  const options = { ...world.options, bearer };
  const session = await createSession(options);
  const { now } = new FakeClock(world.clock.now() + 3 * HOUR);
  return { world, session, ahead: () => createSession({ ...options, now }) };
}

Deno.test("clocks apart: of a joined refresh the ID token has ended, and the error is of the clock", async () => {
  const { world, session, ahead } = await clocksApart("id_token");
  await using _ = world;
  for (const n of [1, 2]) {
    world.provider.script.token.push(async () =>
      world.provider.tokens({ id_token: await world.provider.idToken({ n }) })
    );
  }
  const refresh = session.accessToken({ forceRefresh: true });
  await rejectsWith("id_token_invalid", ahead, "clock");
  assertEquals((await refresh).split(".").length, 3);
  assertEquals(world.codes.length, 1);
});
