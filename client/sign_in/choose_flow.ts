import { ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import { isShownByCaller, showLine } from "../prompt/terminal.ts";
import { BY_BROWSER, BY_DEVICE } from "../provider/remedy.ts";
import type { SignInFlow } from "../session_options.ts";
import { browserObstacle, signInByBrowser } from "./browser.ts";
import { signInByDevice } from "./device.ts";
import { type Flow, type FlowContext, ON_LINK } from "./flow.ts";

/** The flow of the caller's choice. Every flow with a person is registered here. */
export function chosenFlow(flow: SignInFlow | undefined): Flow {
  if (flow === "device") return byDevice;
  if (flow === "browser") return signInByChosenBrowser;
  return signInByAny;
}

const byDevice = withFewerScopes(signInByDevice);
const byBrowser = withFewerScopes(signInByBrowser);

const signInByChosenBrowser: Flow = async (provider, context) => {
  const obstacle = await browserObstacle(provider, context);
  if (obstacle === undefined) return await byBrowser(provider, context);
  throw new ValidMindAuthError("flow_unsupported", {
    action: `sign in with ${BY_BROWSER}`,
    reason: obstacle,
    remedy: `Set ${BY_DEVICE}, or leave the flow out.`,
  });
};

/** The device flow; where it is not to be had for this client, the browser. */
const signInByAny: Flow = async (provider, context) => {
  try {
    return await byDevice(provider, context);
  } catch (error) {
    if (!isWithoutDeviceFlow(error)) throw error;
    const obstacle = await browserObstacle(provider, context);
    if (obstacle !== undefined) throw withoutBrowser(error, obstacle);
    context.runtime.emit?.({ type: "flow_changed", flow: "browser", code: error.code });
    await tellChange(context, error, 'in the browser. The flow "device" prevents this.');
  }
  return await byBrowser(provider, context);
};

/** Whether the provider has no device flow for this client, whoever signs in. */
function isWithoutDeviceFlow(error: unknown): error is ValidMindAuthError {
  if (!(error instanceof ValidMindAuthError)) return false;
  return error.code === "device_flow_unsupported" || error.kind === "flow";
}

/** The error where neither flow works. */
function withoutBrowser(error: ValidMindAuthError, obstacle: string) {
  const instead = `${BY_BROWSER} cannot take its place: ${obstacle}.`;
  // The remedy of this code is the browser.
  const isInstead = error.code === "device_flow_unsupported";
  const remedy = isInstead ? instead : `${error.remedy} ${instead}`;
  return new ValidMindAuthError(error.code, { ...error, cause: error.cause, remedy });
}

/** A flow that goes on with fewer scopes where the provider refuses the default ones. Nobody has named those. */
function withFewerScopes(flow: Flow) {
  const signIn: Flow = async (provider, context) => {
    try {
      return await flow(provider, context);
    } catch (error) {
      if (context.ask[ON_LINK]) throw error; // the next cell knows one link
      const scope = await provider.narrowScope(error, flow === signInByDevice);
      if (scope === undefined) throw error;
      const asked = scope === "" ? "no scope" : `the scope "${scope}"`;
      const words = `with ${asked}: there may be no refresh token. To ask for another one, set ` +
        `${named("scope")}.`;
      await tellChange(context, error as ValidMindAuthError, words);
    }
    return await signIn(provider, context);
  };
  return signIn;
}

/** Says that the sign-in goes on otherwise, unless the caller shows all itself. */
async function tellChange(
  { ask }: FlowContext,
  { reason }: ValidMindAuthError,
  words: string,
) {
  if (isShownByCaller(ask)) return;
  await showLine(`The sign-in goes on ${words} The reason: ${reason}.`);
}
