import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { type OpServerName, startOpServer } from "../../../support/servers/op_server.ts";
import { AUTHLIB } from "../../../behaviour/providers/authlib.ts";
import { OpProvider } from "../../../behaviour/providers/op_provider.ts";
import { worksAt } from "../../../behaviour/providers/rows/clock.ts";
import { MatrixWorld } from "../../../behaviour/providers/world.ts";
import { ZITADEL } from "../../../behaviour/providers/zitadel.ts";

const HOUR = 3600_000;
const OFF_MS = 400_000;

/** Settings of a provider that people have, beside those of the matrix. */
for (const [name, kind] of [["zitadel", ZITADEL], ["authlib", AUTHLIB]] as const) {
  const live = await liveTests(name satisfies OpServerName);
  const server = await live.shared(() => startOpServer(name));
  live.afterAll(async () => await server[Symbol.asyncDispose]());

  live.test(`${kind.name} without rotation: the refresh token stays`, async () => {
    await using provider = await OpProvider.start(server);
    await provider.op.set({ rotate: false });
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const { refresh_token, access_token } = await world.stored();
    for (let time = 0; time < 2; time++) {
      world.clock.advance(HOUR);
      assertNotEquals(await session.accessToken(), access_token);
      assertEquals((await world.stored()).refresh_token, refresh_token);
    }
    assertEquals(world.codes.length, 1);
  });

  live.test(`${kind.name} with signed access tokens: one is used, renewed and revoked`, async () => {
    await using provider = await OpProvider.start(server);
    await provider.op.set({ jwt: true });
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const token = await session.accessToken();
    assertEquals(token.split(".").length, 3);
    assert(await provider.isActive(token));
    assertNotEquals(await session.accessToken({ forceRefresh: true }), token);
    assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
  });

  live.test(`${kind.name} with tokens of a minute: a start uses what is stored`, async () => {
    await using provider = await OpProvider.start(server);
    await provider.op.set({ accessTokenSeconds: 60, idTokenSeconds: 60 });
    await using world = await MatrixWorld.make(kind, provider);
    await (await createSession(world.options)).close();
    provider.gateway.reset();
    world.clock.advance(45_000);
    await using again = await createSession({ ...world.options, interactive: false });
    assert((await again.status()).signedIn);
    assertEquals(provider.gateway.requests, []);
    world.clock.advance(10_000);
    await again.accessToken();
    assertEquals(provider.gateway.grants, [["refresh_token", 200]]);
  });

  for (const date of [true, false]) {
    for (const offMs of [OFF_MS, -OFF_MS]) {
      const what = `a clock ${offMs / 1000} s off, ${date ? "with" : "without"} Date`;
      live.test(`${kind.name}: ${what}: the stored end is right all the same`, async () => {
        await using provider = await OpProvider.start(server);
        await provider.op.set({ date });
        await using world = await MatrixWorld.make(kind, provider);
        const seconds = await worksAt(offMs, world);
        assert(Math.abs(seconds - HOUR / 1000) < 60, `${seconds}`);
      });
    }
  }
}
