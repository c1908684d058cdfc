import type { ProviderKind } from "../provider.ts";

/** What people are told at Authlib. */
export const TOLD: ProviderKind["told"] = {
  "The person denies the request": {
    code: "device_code_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied (The resource owner or " +
      "authorization server denied the request). " +
      "Sign in again, and approve; if a rule refuses it, ask who runs the provider. If the page refused " +
      'the code by a policy, set flow: "browser" (VM_OIDC_FLOW).',
  },
};
