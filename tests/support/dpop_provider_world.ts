import { Buffer } from "node:buffer";
import { oidcProviderWorld } from "./provider_world.ts";

/** What a provider with DPoP asks for. */
export interface DpopDemands {
  /** Whether each proof has to carry the provider's nonce; may be changed while it runs. */
  nonce: boolean;
  /** Whether requests for a person's approval have to be pushed. */
  isPushed?: boolean;
}

/**
 * A world whose real provider offers DPoP, with an API that really checks proofs: the provider's own
 * userinfo endpoint, `me`.
 */
export async function dpopProviderWorld(demands: DpopDemands = { nonce: false }) {
  const world = await oidcProviderWorld({
    configure(config) {
      Object.assign(config.features!, {
        dPoP: {
          enabled: true,
          nonceSecret: Buffer.from(crypto.getRandomValues(new Uint8Array(32))),
          requireNonce: () => demands.nonce,
          allowReplay: false,
        },
        userinfo: { enabled: true },
        pushedAuthorizationRequests: {
          enabled: demands.isPushed === true,
          requirePushedAuthorizationRequests: demands.isPushed === true,
        },
      });
    },
  });
  Object.assign(world.options, { dpop: true, apiHost: `${world.provider.issuer}/` });
  return world;
}

/** Header and claims of a proof. */
export function readProof(proof: string): { jwk: JsonWebKey; claims: Record<string, unknown> } {
  const [header, claims] = proof.split(".").slice(0, 2).map((part) =>
    JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/")))
  );
  return { jwk: header.jwk, claims };
}
