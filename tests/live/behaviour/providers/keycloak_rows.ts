import { assert } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { KeycloakRealm } from "./keycloak.ts";
import type { KeycloakClientKind } from "./keycloak_realm.ts";
import type { Row } from "./rows.ts";
import { type Fault, isTold } from "./told.ts";
import { MatrixWorld } from "./world.ts";

const DAY = 24 * 3600_000;

/** Settings that only Keycloak has. */
export const KEYCLOAK_ROWS: Record<string, Row> = {
  "client without the flow in the browser": fails(
    "The client may not use the flow in the browser",
    "device",
    (world) => createSession(world.browserOptions),
  ),
  "client that has to push its requests": fails(
    "The client has to push its requests",
    "pushed",
    (world) => createSession(world.browserOptions),
  ),
  "ID token signed by a secret": fails(
    "The ID token is signed by a secret",
    "symmetric",
    (world) => createSession(world.options),
  ),

  async "offline_access not allowed"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    assert(provider instanceof KeycloakRealm);
    const roles = `${provider.user}/role-mappings/realm`;
    await provider.admin("DELETE", roles, await provider.admin("GET", roles));
    const start = () => createSession(world.options);
    await isTold(world, "The person may not have offline_access", start);
    await using session = await createSession({ ...world.options, scope: "openid email" });
    assert(await provider.isActive(await session.accessToken()));
  },

  async "all tokens of a client ended"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, { clientId: "client-ended" });
    await (await createSession(world.options)).close();
    assert(provider instanceof KeycloakRealm);
    const path = "/clients?clientId=client-ended";
    const [{ id }] = await provider.admin("GET", path) as [{ id: string }];
    const notBefore = Math.ceil(Date.now() / 1000) + 1;
    await provider.admin("PUT", `/clients/${id}`, { notBefore });
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "An administrator has ended all tokens of the client", start);
  },

  async "client that has to use PKCE"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, { clientId: "client-pkce" });
    for (const options of [world.options, { ...world.browserOptions, profile: "browser" }]) {
      await using session = await createSession(options);
      assert(await provider.isActive(await session.accessToken()));
    }
  },

  async "realm that requires HTTPS"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    assert(provider instanceof KeycloakRealm);
    await provider.admin("PUT", "", { sslRequired: "all" });
    const start = () => createSession(world.options);
    await isTold(world, "The realm requires HTTPS", start)
      .finally(() => provider.admin("PUT", "", { sslRequired: "none" }));
  },
};

function fails(
  fault: Fault,
  client: KeycloakClientKind,
  start: (world: MatrixWorld) => Promise<unknown>,
): Row {
  return async (kind, provider) => {
    await using world = await MatrixWorld.make(kind, provider, { clientId: `client-${client}` });
    await isTold(world, fault, () => start(world));
  };
}
