import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { readClaims } from "../../../../client/entry/bearer.ts";
import { lives, type Row, row } from "./rows.ts";
import { clientOf, type SpringProvider } from "./spring.ts";

/** What only Spring shows. */
export const SPRING_ROWS: Record<string, Row<SpringProvider>> = {
  "device flow without openid, which it refuses, refresh and sign-out": lives(
    "secret",
    (world) => world.options,
    null,
  ),
  "DPoP without openid": lives("secret", (world) => ({ ...world.options, dpop: true }), null),

  async "pushed authorization request"(provider) {
    await provider.control("push");
    await lives("browser", (world) => ({
      ...world.browserOptions,
      onAuthorizationUrl({ url }) {
        assertEquals([...new URL(url).searchParams.keys()], ["client_id", "request_uri"]);
        return provider.follow(url);
      },
    }))(provider);
  },

  "an ID token by ES256, where discovery states RS256 alone, and a new key": row(
    clientOf("es256"),
    async (world) => {
      await using session = await createSession(world.browserOptions);
      for (let time = 0; time < 2; time++) {
        const { id_token } = await world.stored();
        assertEquals(readClaims(id_token!, 0)?.alg, "ES256");
        await world.provider.rotateKeys();
        await session.accessToken({ forceRefresh: true });
        assert((await world.stored()).id_token !== id_token);
      }
    },
  ),

  "a public client: the browser in place of the device flow, and no refresh token": row(
    { clientId: "public" },
    async (world) => {
      await using session = await createSession({ ...world.browserOptions, flow: "auto" });
      assert(await world.provider.isActive(await session.accessToken()));
      assertEquals([(await world.stored()).refresh_token, world.asked], [null, ["browser"]]);
    },
  ),
};
