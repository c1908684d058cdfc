import { AUTHLIB_VERSION, startOpServer } from "../../support/servers/op_server.ts";
import { OP_CANNOT, OpProvider } from "./op_provider.ts";
import type { ProviderKind } from "./provider.ts";

/** A provider on Authlib and Flask, in a process of its own. */
export const AUTHLIB: ProviderKind = {
  name: "Authlib",
  version: AUTHLIB_VERSION,
  needs: ["authlib"],
  cannot: OP_CANNOT,
  told: { "The person's account is disabled": ["login_required", "no 'user'"] },
  async start() {
    const server = await startOpServer("authlib");
    return {
      provider: () => OpProvider.start(server),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};
