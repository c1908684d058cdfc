import { words, wordsOf } from "../../backends/credentials_backend_error.ts";
import type { TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { isShownByCaller, showLine } from "../prompt/terminal.ts";
import { BY_BROWSER, BY_DEVICE, isOfProof } from "../provider/error.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { SignInFlow } from "../session_options.ts";
import { browserObstacle, signInByBrowser } from "./browser.ts";
import { signInByDevice } from "./device.ts";
import type { Flow, FlowContext } from "./flow.ts";

/** The OAuth errors by which a provider refuses a flow to a client, whoever signs in; or none. */
const REFUSALS: unknown[] = ["unauthorized_client", "unsupported_grant_type", undefined];

/** The flow of the caller's choice. Every flow with a person is registered here. */
export function chosenFlow(flow: SignInFlow = "auto"): Flow {
  switch (flow) {
    case "device":
      return byDevice;
    case "browser":
      return signInByChosenBrowser;
    default:
      return signInByAny; // no person is asked for the flow of the client
  }
}

const signInByChosenBrowser: Flow = async (provider, context) => {
  const obstacle = await browserObstacle(provider, context);
  if (obstacle === undefined) return await byBrowser(provider, context);
  throw new ValidMindAuthError(
    "flow_unsupported",
    words`Cannot sign in by ${BY_BROWSER}: ${obstacle}. Set ${BY_DEVICE}, or leave it out.`,
  );
};

/** The device flow; where it is not to be had for this client, the browser. */
const signInByAny: Flow = async (provider, context) => {
  try {
    return await byDevice(provider, context);
  } catch (error) {
    if (!isWithoutDeviceFlow(error)) throw error;
    const obstacle = await browserObstacle(provider, context);
    if (obstacle !== undefined) throw withoutBrowser(error, obstacle);
    const { runtime, ask } = context;
    runtime.emit?.({ type: "flow_changed", flow: "browser", code: error.code });
    if (!isShownByCaller(ask)) {
      showLine(`${reasonOf(error)} Going on in the browser (flow: "device" would not).`);
    }
    return await byBrowser(provider, context);
  }
};

const byDevice: Flow = (provider, context) => withFewerScopes(signInByDevice, provider, context);
const byBrowser: Flow = (provider, context) => withFewerScopes(signInByBrowser, provider, context);

/** Goes on with fewer scopes where the provider refuses the default ones, which nobody has named. */
async function withFewerScopes(
  flow: Flow,
  provider: OidcProvider,
  context: FlowContext,
): Promise<TokenSet> {
  try {
    return await flow(provider, context);
  } catch (error) {
    const scope = await provider.narrowScope(error, flow === signInByDevice);
    if (scope === undefined) throw error;
    if (!isShownByCaller(context.ask)) {
      const asked = scope === "" ? "no scope" : `the scope "${scope}"`;
      showLine(
        `${
          reasonOf(error as ValidMindAuthError)
        } Going on with ${asked}: there may be no refresh ` +
          `token. Name others by scope (VM_OIDC_SCOPE).`,
      );
    }
    return await withFewerScopes(flow, provider, context);
  }
}

/** Whether the provider has no device flow for this client, whoever signs in. */
export function isWithoutDeviceFlow(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && (error.code === "device_flow_unsupported" ||
    (error.code === "provider_refused" && REFUSALS.includes(error.oauthError) &&
      !isOfProof(error)));
}

/** The error of the device flow, with the reason why the browser does not take its place. */
function withoutBrowser(error: ValidMindAuthError, obstacle: string): ValidMindAuthError {
  const { code, oauthError } = error;
  const message = words`${
    wordsOf(error)
  } In place of it, ${BY_BROWSER} cannot be had: ${obstacle}.`;
  return new ValidMindAuthError(code, message, { oauthError });
}

/** "Cannot X: reason." without the advice, which the browser takes the place of. */
function reasonOf({ message }: ValidMindAuthError): string {
  return `${message.split(". ", 1)[0]}.`;
}
