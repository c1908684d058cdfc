import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import type { AuthEvent } from "../../../../client/auth_event.ts";
import { isTold } from "../faults.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

/** A person signs in in the browser. */
export const BROWSER_ROWS = {
  async "browser"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "browser");
    await using session = await createSession(world.browserOptions);
    const { access_token } = await world.stored();
    assert(await provider.isActive(access_token));
    assertEquals((await session.status()).email, "analyst@example.com");
    await session.accessToken({ forceRefresh: true });
    assertEquals((await world.stored()).access_token === access_token, false);
  },

  async "browser denied"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "browser");
    world.denies = true;
    const start = () => createSession(world.browserOptions);
    await isTold(world, "The person denies the request in the browser", start);
  },

  async "browser instead of the device flow"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "browser");
    const events: AuthEvent[] = [];
    await using session = await createSession({
      ...world.browserOptions,
      flow: "auto",
      onEvent: (event) => void events.push(event),
    });
    assert(await provider.isActive(await session.accessToken()));
    assert(events.some(({ type }) => type === "flow_changed"));
  },
} satisfies Record<string, Row>;
