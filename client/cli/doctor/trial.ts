import type { PreparedCall } from "../../create_session.ts";
import { asksNobody } from "../../entry/bearer.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { named } from "../../options/declaration.ts";
import type { OidcIdentity } from "../../options/resolve_identity.ts";
import { assertCanSignIn } from "../../provider/discovery.ts";
import { MAX_SKEW_SECONDS, reachEndpoint } from "../../provider/fetch.ts";
import { noSigner } from "../../provider/id_token.ts";
import type { OidcProvider } from "../../provider/oidc_provider.ts";
import { fetchKeys, type RequestContext } from "../../provider/token_request.ts";
import { requestUnattended } from "../../provider/unattended_grants.ts";
import { chosenFlow } from "../../sign_in/choose_flow.ts";
import type { Answer, Findings } from "./findings.ts";

const HELD_BACK: Answer = {
  result: "not_tried",
  message: "the request would send the client's assertion, which may serve once",
};
/** Whether a client proves itself by an assertion of somebody else, which may serve once. */
export function hasAssertion({ proof }: OidcIdentity) {
  return proof?.option.startsWith("clientAssertion") === true;
}

/** A sign-in at the provider that stops before the person. Nothing is stored. */
export async function examineProvider(
  findings: Findings,
  call: PreparedCall,
  provider: OidcProvider,
) {
  const { issuer, scope, flow, proof } = provider.identity;
  const isAlone = asksNobody(flow);
  const use = (run: (context: RequestContext) => Promise<string>) => () =>
    provider.use("sign in", undefined, run);
  const isThere = await findings.examine("provider", async () => {
    await provider.prepare("find the provider's endpoints");
    return `${issuer} answers correctly`;
  });
  if (!isThere) return;
  await findings.examine("clock", use(checkClock));
  await findings.examine("endpoints", use(checkEndpoints));
  const needsKeys = !isAlone && scope.split(" ").includes("openid");
  if (needsKeys) await findings.examine("keys", use(checkKeys));
  if (proof !== undefined) {
    const prove = use(async ({ means: [server, client, auth] }) => {
      await auth(server, client, new URLSearchParams(), new Headers()); // which are dropped
      return `${named(proof.option)} can be used`;
    });
    await findings.examine("proof", prove);
  }
  const isToBeHad = await findings.examine("flow", () => checkFlow(call, provider));
  if (!isToBeHad || isAlone) return;
  const message = "a person signs in and approves at the provider";
  await findings.examine("approval", () => Promise.resolve({ result: "not_tried", message }));
}

/** The clock, by which tokens are judged. */
function checkClock({ runtime: { skew = 0 }, server }: RequestContext) {
  const words = `${Math.abs(skew)} s ${skew > 0 ? "behind" : "ahead of"} the provider's`;
  if (Math.abs(skew) <= MAX_SKEW_SECONDS) return Promise.resolve(words);
  throw new ValidMindAuthError("id_token_invalid", {
    action: `sign in at ${server.issuer}`,
    reason: `this computer's clock is ${words}`,
    remedy: "Set it.",
  });
}

/** The token endpoint. The other ones are reached by the keys and by the flow. */
async function checkEndpoints({ identity, server, runtime }: RequestContext) {
  assertCanSignIn(server, identity);
  const { host } = new URL(server.token_endpoint!);
  if (host !== new URL(identity.issuer).host) await reachEndpoint(server.token_endpoint!, runtime);
  return `those of a sign-in are there, and ${host} is reached`;
}

/** The keys that sign ID tokens. */
async function checkKeys(context: RequestContext) {
  const keys = await fetchKeys(context);
  const signing = keys.filter(({ use }) => use !== "enc");
  if (signing.length === 0) throw noSigner();
  return `the provider has ${signing.length} to sign tokens by`;
}

/** The flow, up to the person. Its signal ends it, by the answer of this check or by an error. */
async function checkFlow(
  { options, resolved: { runtime } }: PreparedCall,
  provider: OidcProvider,
): Promise<Answer | string> {
  const { flow } = provider.identity;
  const stop = new AbortController();
  const { emit, fetch } = runtime;
  runtime.delay = () => Promise.resolve(); // the first poll tells as much without a pause
  runtime.emit = (event, error) => {
    emit?.(event, error);
    if (event.type === "sign_in_waiting") {
      stop.abort(error ?? "the provider gave a device code, which was dropped");
    }
    if (event.type === "link_shown") {
      stop.abort("the browser can be sent there, and its answer be received");
    }
  };
  runtime.fetch = async (url, init) => {
    if (init?.method !== "POST" || !hasAssertion(provider.identity)) return await fetch(url, init);
    stop.abort(HELD_BACK);
    throw HELD_BACK;
  };
  const unseen = () => Promise.resolve();
  const ask = { ...options, flow, onDeviceCode: unseen, onAuthorizationUrl: unseen };
  const { signal } = stop;
  const context = { runtime, ask, signal, show: unseen, look: unseen };
  try {
    await (asksNobody(flow) ? requestUnattended(provider) : chosenFlow(flow)(provider, context));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.reason instanceof Error) throw signal.reason;
  return signal.reason ?? "the provider gave a token, which was dropped";
}
