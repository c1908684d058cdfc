import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { readClaims } from "../../../../client/entry/bearer.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { HYDRA, type HydraProvider } from "./hydra.ts";
import { runMatrix } from "./matrix.ts";
import { row } from "./rows.ts";

await runMatrix<HydraProvider>(HYDRA, {
  "older sign-ins after a rotation, which keep the old kid, and without the old key": row(
    "public",
    async (world) => {
      const { provider } = world;
      await using session = await createSession(world.options);
      const before = await world.stored();
      const kid = kidOf(before.id_token!);
      await provider.rotateKeys();
      for (let time = 0; time < 2; time++) {
        const token = await session.accessToken({ forceRefresh: true });
        assert(await provider.isActive(token));
        assertEquals(kidOf((await world.stored()).id_token!), kid);
        await provider.removeKey(kid);
      }
      assertNotEquals((await world.stored()).id_token, before.id_token);
      assertEquals(world.asked.length, 1);
    },
  ),

  "client without offline_access": row({ clientId: "once" }, async (world) => {
    const start = (scope?: string) => createSession({ ...world.options, ...(scope && { scope }) });
    await rejectsWith("provider_refused", start, "Leave offline_access out");
    await using session = await start("openid");
    assert(await world.provider.isActive(await session.accessToken()));
    assertEquals((await world.stored()).refresh_token, null);
  }),
});

/** The name of the key in a token's header. */
function kidOf(token: string): string {
  return String(readClaims(token, 0)!.kid);
}
