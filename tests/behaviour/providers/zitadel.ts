import { startOpServer, ZITADEL_OIDC_VERSION } from "../../support/servers/op_server.ts";
import { OP_CANNOT, OpProvider } from "./op_provider.ts";
import type { ProviderKind } from "./provider.ts";

/** A provider on zitadel/oidc, in a process of its own. */
export const ZITADEL: ProviderKind = {
  name: "zitadel/oidc",
  version: ZITADEL_OIDC_VERSION,
  needs: ["zitadel"],
  cannot: {
    ...OP_CANNOT,
    "client_credentials with a key": "the router compares secrets alone for this grant",
  },
  told: { "A wrong secret, and nobody there": ["provider_unavailable", "the secret is not"] },
  async start() {
    const server = await startOpServer();
    return {
      provider: () => OpProvider.start(server),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};
