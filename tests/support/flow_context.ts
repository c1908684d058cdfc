import type { Runtime } from "../../client/options/resolve_options.ts";
import type { DeviceCode } from "../../client/session_options.ts";
import type { FlowContext } from "../../client/sign_in/flow.ts";

/** The means of a flow whose code the caller shows. */
export function flowContext(
  runtime: Runtime,
  onDeviceCode: (code: DeviceCode) => void | Promise<void>,
  signal: AbortSignal = new AbortController().signal,
): FlowContext {
  const show = () => Promise.reject(new Error("The built-in prompt was used"));
  return { runtime, ask: { onDeviceCode, openBrowser: false }, signal, show };
}
