import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { isTold } from "../faults.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

/** How the provider knows the client, and how the client signs in itself. */
export const CLIENT_ROWS = {
  async "client unknown"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, { clientId: "nobody" });
    await isTold(world, "The provider does not know the client", () => start(world));
  },

  async "client without its secret"(kind, provider) {
    const { clientId } = provider.client("secret");
    await using world = await MatrixWorld.make(kind, provider, { clientId });
    await isTold(world, "A confidential client has no secret", () => start(world));
  },

  async "client with a wrong secret"(kind, provider) {
    const { clientId } = provider.client("secret");
    await using world = await MatrixWorld.make(kind, provider, {
      clientId,
      clientSecret: "Xq7-wR0ng-Pk3-Lm2",
    });
    await isTold(world, "A confidential client has a wrong secret", () => start(world));
    const run = () => start(world, { flow: "client_credentials" });
    await isTold(world, "A wrong secret, and nobody there", run);
  },

  async "client disabled"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "disabled");
    await isTold(world, "The client is disabled", () => start(world));
  },

  async "client without the device flow"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "browser");
    await isTold(
      world,
      "The client may not use the device flow",
      () => start(world, { flow: "device" }),
    );
  },

  async "client with its secret"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "secret");
    await using session = await start(world);
    const { access_token } = await world.stored();
    await session.accessToken({ forceRefresh: true });
    assertEquals((await world.stored()).access_token === access_token, false);
    assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
  },

  async "client_credentials with a secret"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "secret");
    await signsInItself(world, {});
  },

  async "client_credentials with a key"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "key");
    await using dir = await tempDir();
    const clientKeyFile = `${dir.path}/key.json`;
    await Deno.writeTextFile(clientKeyFile, JSON.stringify(world.client.clientKey));
    await Deno.chmod(clientKeyFile, 0o600);
    await signsInItself(world, { clientKeyFile });
  },
} satisfies Record<string, Row>;

/** Starts a session with the client's secret, if it has one. */
function start({ options, client: { clientSecret } }: MatrixWorld, more: SessionOptions = {}) {
  const { onDeviceCode, ...others } = options;
  return createSession({
    ...others,
    ...(more.flow !== "client_credentials" && { onDeviceCode }),
    ...(clientSecret && { clientSecret }),
    ...more,
  });
}

/** The client gets a token of its own, without a person, and another one at its end. */
async function signsInItself(world: MatrixWorld, more: SessionOptions): Promise<void> {
  await using session = await start(world, { flow: "client_credentials", ...more });
  const token = await session.accessToken();
  assert(await world.provider.isActive(token));
  const next = await session.accessToken({ forceRefresh: true });
  assertEquals([next === token, world.codes.length], [false, 0]);
  const { grants } = world.provider.gateway;
  assertEquals(grants, [["client_credentials", 200], ["client_credentials", 200]]);
}
