import type { Fault, Told } from "../faults.ts";

/** What people are told of faults that have nothing to do with the kind of provider. */
export const EVERYWHERE: Partial<Record<Fault, Told>> = {
  "The provider refuses connections": {
    code: "provider_unavailable",
    message:
      "Cannot reach {endpoint}: nothing answers at that host and port. Check the issuer, the " +
      "network and a proxy (HTTPS_PROXY, NO_PROXY), and try again.",
  },
  "The provider does not answer": {
    code: "provider_unavailable",
    message:
      "Cannot reach {endpoint}: there was no whole answer within 1000 ms. Check the issuer, the " +
      "network and a proxy (HTTPS_PROXY, NO_PROXY), and try again.",
  },
  "A load balancer answers in the provider's place": {
    code: "provider_unavailable",
    message:
      "Cannot use the answer of {endpoint}: it has status 503 and is no answer of a provider " +
      "(text/html). Try again later, then ask who runs the provider, or a proxy before it.",
  },
  "The answer to a refresh is lost": {
    code: "provider_unavailable",
    message:
      "Cannot reach {endpoint}: the connection broke off before the whole answer. Check the issuer, " +
      "the network and a proxy (HTTPS_PROXY, NO_PROXY), and try again.",
  },
  "Nobody approves the code": {
    code: "device_code_expired",
    message:
      "Cannot sign in at {issuer}: nobody approved before the code ended. Sign in again. If the " +
      'page refused the code by a policy, set flow: "browser" (VM_OIDC_FLOW).',
  },
  "The issuer's path is wrong": {
    code: "provider_invalid",
    message: "Cannot find an OpenID Provider at {issuer}/nowhere: it has no " +
      "/.well-known/openid-configuration. Check the issuer and its path.",
  },
};
