import type { RealWorld, ScriptedWorld } from "../../support/provider_world.ts";
import type { Runtime } from "../../../client/options/resolve_options.ts";
import { OidcProvider } from "../../../client/provider/oidc_provider.ts";

/** The client's side of a world's provider, without sessions and storage. */
export function providerOf(
  world: ScriptedWorld | RealWorld,
  options: { scope?: string; audience?: string } & Partial<Runtime> = {},
): { provider: OidcProvider; runtime: Runtime } {
  const { scope = "openid offline_access", audience, ...rest } = options;
  const { issuer, clientId } = world.provider;
  const runtime = {
    fetch,
    now: world.clock.now,
    elapsed: world.clock.now,
    delay: world.clock.delay,
    timeoutMs: 5_000,
    secrets: new Set<string>(),
    ...rest,
  };
  const identity = {
    kind: "oidc",
    issuer,
    clientId,
    scope,
    ...(audience && { audience }),
  } as const;
  return { provider: new OidcProvider(identity, runtime), runtime };
}
