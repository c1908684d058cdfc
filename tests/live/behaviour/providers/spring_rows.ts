import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { readClaims } from "../../../../client/entry.ts";
import { lives, type Row } from "./rows.ts";
import type { SpringProvider } from "./spring.ts";
import { MatrixWorld } from "./world.ts";

/** What only Spring shows. */
export const SPRING_ROWS = {
  "device flow without openid, which it refuses, refresh and sign-out": (kind, provider) =>
    lives(kind, provider, "secret", (world) => world.options, null),

  "DPoP without openid": (kind, provider) =>
    lives(kind, provider, "secret", (world) => ({ ...world.options, dpop: true }), null),

  async "pushed authorization request"(kind, provider) {
    await (provider as SpringProvider).control("push");
    await lives(kind, provider, "browser", (world) => ({
      ...world.browserOptions,
      onAuthorizationUrl({ url }) {
        assertEquals([...new URL(url).searchParams.keys()], ["client_id", "request_uri"]);
        return provider.follow(url);
      },
    }));
  },

  async "an ID token by ES256, where discovery states RS256 alone, and a new key"(kind, provider) {
    const client = (provider as SpringProvider).client("es256");
    await using world = await MatrixWorld.make(kind, provider, client);
    await using session = await createSession(world.browserOptions);
    for (let time = 0; time < 2; time++) {
      const { id_token } = await world.stored();
      assertEquals(readClaims(id_token!, 0)?.alg, "ES256");
      await provider.rotateKeys();
      await session.accessToken({ forceRefresh: true });
      assert((await world.stored()).id_token !== id_token);
    }
  },

  async "a public client: the browser in place of the device flow, and no refresh token"(
    kind,
    provider,
  ) {
    await using world = await MatrixWorld.make(kind, provider, { clientId: "public" });
    const options = { ...world.browserOptions, flow: "auto" } as const;
    await using session = await createSession(options);
    assert(await provider.isActive(await session.accessToken()));
    assertEquals([(await world.stored()).refresh_token, world.codes], [null, []]);
  },
} satisfies Record<string, Row>;
