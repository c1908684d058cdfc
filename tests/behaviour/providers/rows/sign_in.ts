import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { isTold } from "../faults.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

/** A person signs in. */
export const SIGN_IN_ROWS = {
  async "device flow"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const { access_token, refresh_token } = await world.stored();
    assertEquals(await session.accessToken(), access_token);
    assert(await provider.isActive(access_token));
    assert(await provider.isActive(refresh_token!));
    const status = await session.status();
    assertEquals([status.signedIn, status.email], [true, "analyst@example.com"]);
    provider.gateway.reset();
    await using again = await createSession({ ...world.options, interactive: false });
    assertEquals(await again.accessToken(), access_token);
    assertEquals(provider.gateway.requests, []); // from the store alone
  },

  async "sign-out with revocation"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const { refresh_token } = await world.stored();
    assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
    assertEquals(await provider.isActive(refresh_token!), false);
    assertEquals(await world.keys(), []);
  },

  async "device flow denied"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    world.denies = true;
    await isTold(world, "The person denies the request", () => createSession(world.options));
    assertEquals(await world.keys(), []);
  },

  async "device code not approved"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    world.clock.onDelay = undefined;
    await isTold(world, "Nobody approves the code", () => createSession(world.options));
  },
} satisfies Record<string, Row>;
