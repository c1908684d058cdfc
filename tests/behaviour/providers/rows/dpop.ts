import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { readClaims } from "../../../../client/entry.ts";
import { isTold } from "../faults.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

/** Tokens are bound to a key: RFC 9449. */
export const DPOP_ROWS = {
  async "DPoP"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "dpop");
    const options = { ...world.options, dpop: true };
    await using session = await createSession(options);
    const first = await world.stored();
    await using again = await createSession({ ...options, interactive: false });
    await again.accessToken({ forceRefresh: true });
    const second = await world.stored();
    assertEquals([second.access_token === first.access_token, world.codes.length], [false, 1]);
    assertEquals(second.dpop_key, first.dpop_key);
    assertEquals(typeof first.dpop_key, "object");
    const { cnf } = readClaims(second.access_token) ?? {};
    if (cnf !== undefined) assert("jkt" in (cnf as object));
    assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
    assertEquals(await provider.isActive(second.refresh_token!), false);
  },

  async "DPoP missing"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "dpop");
    await isTold(world, "The client has to use DPoP", () => createSession(world.options));
    assertEquals(await world.keys(), []);
  },

  async "DPoP in the browser"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "dpop");
    await using session = await createSession({ ...world.browserOptions, dpop: true });
    const token = await session.accessToken();
    assert(await provider.isActive(token));
    await session.accessToken({ forceRefresh: true });
    assertEquals((await world.stored()).access_token === token, false);
  },
} satisfies Record<string, Row>;
