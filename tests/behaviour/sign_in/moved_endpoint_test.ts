import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const NAMES = {
  device_authorization_endpoint: "/device",
  token_endpoint: "/token",
  jwks_uri: "/jwks",
};

for (const [name, path] of Object.entries(NAMES)) {
  for (const isPermitted of [true, false]) {
    const outcome = isPermitted ? "permitted: works" : "not permitted: names the flag, asks nobody";
    Deno.test({
      name: `deviation: ${name} on another host, which is ${outcome}`,
      permissions: { net: isPermitted ? ["127.0.0.1", "localhost"] : ["127.0.0.1"], env: true },
      async fn() {
        await using world = await scriptedProviderWorld();
        const host = `localhost:${new URL(world.provider.issuer).port}`;
        world.provider.discovery = { [name]: `http://${host}${path}` };
        if (isPermitted) {
          const session = await createSession(world.options);
          await session.accessToken({ forceRefresh: true });
          return;
        }
        const words = ["Cannot reach the provider", "--allow-net=", host];
        await rejectsWith("permission_required", () => createSession(world.options), ...words);
        assertEquals(world.codes, []);
      },
    });
  }
}

Deno.test({
  name:
    "deviation: an endpoint that the sign-in does not use, on another host, needs no permission",
  permissions: { net: ["127.0.0.1"], env: true },
  async fn() {
    await using world = await scriptedProviderWorld();
    const { port } = new URL(world.provider.issuer);
    const pushed_authorization_request_endpoint = `http://localhost:${port}/par`;
    world.provider.discovery = { pushed_authorization_request_endpoint };
    await createSession(world.options);
  },
});
