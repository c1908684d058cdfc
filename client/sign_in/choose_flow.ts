import { ValidMindAuthError } from "../errors.ts";
import { isShownByCaller } from "../prompt/terminal.ts";
import { showLine } from "../prompt/terminal.ts";
import { isOfProof } from "../provider/error.ts";
import type { SignInFlow } from "../session_options.ts";
import { signInByDevice } from "./device.ts";
import type { Flow } from "./flow.ts";

/** Loaded where the device flow is not wanted or not to be had. */
const loadBrowser = () => import("./browser.ts");

/** The OAuth errors by which a provider refuses a flow to a client, whoever signs in; or none. */
const REFUSALS: unknown[] = ["unauthorized_client", "unsupported_grant_type", undefined];

/** The flow of the caller's choice. Every flow with a person is registered here. */
export function chosenFlow(flow: SignInFlow = "auto"): Flow {
  switch (flow) {
    case "device":
      return signInByDevice;
    case "browser":
      return signInByBrowser;
    default:
      return signInByAny; // no person is asked for the flow of the client
  }
}

const signInByBrowser: Flow = async (provider, context) => {
  const { browserObstacle, signInByBrowser } = await loadBrowser();
  const obstacle = await browserObstacle(provider, context);
  if (obstacle === undefined) return await signInByBrowser(provider, context);
  throw new ValidMindAuthError(
    "flow_unsupported",
    `Cannot sign in in the browser (flow, VM_OIDC_FLOW): ${obstacle}. Set flow: "device", or leave ` +
      `it out.`,
  );
};

/** The device flow; where it is not to be had for this client, the browser. */
const signInByAny: Flow = async (provider, context) => {
  try {
    return await signInByDevice(provider, context);
  } catch (error) {
    if (!isWithoutDeviceFlow(error)) throw error;
    const { browserObstacle, signInByBrowser } = await loadBrowser();
    const obstacle = await browserObstacle(provider, context);
    if (obstacle !== undefined) throw withoutBrowser(error, obstacle);
    const { runtime, ask } = context;
    runtime.emit?.({ type: "flow_changed", flow: "browser", code: error.code });
    if (!isShownByCaller(ask)) {
      showLine(`${reasonOf(error)} Going on in the browser (flow: "device" would not).`);
    }
    return await signInByBrowser(provider, context);
  }
};

/** Whether the provider has no device flow for this client, whoever signs in. */
export function isWithoutDeviceFlow(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && (error.code === "device_flow_unsupported" ||
    (error.code === "provider_refused" && REFUSALS.includes(error.oauthError) &&
      !isOfProof(error)));
}

/** The error of the device flow, with the reason why the browser does not take its place. */
function withoutBrowser(
  { code, message, oauthError }: ValidMindAuthError,
  obstacle: string,
): ValidMindAuthError {
  return new ValidMindAuthError(
    code,
    `${message} The browser (flow: "browser") cannot take its place: ${obstacle}.`,
    { oauthError },
  );
}

/** "Cannot X: reason." without the advice, which the browser takes the place of. */
function reasonOf({ message }: ValidMindAuthError): string {
  return `${message.split(". ", 1)[0]}.`;
}
