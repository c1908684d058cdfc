import { rememberSecret } from "./assert_no_secret.ts";
import type { AuthorizationPrompt, SessionOptions } from "../../mod.ts";
import { createSession } from "../../mod.ts";
import type { ProviderWorld } from "./provider_world.ts";

/** A sign-in in the browser that waits for its person. */
export type StartedFlow = Awaited<ReturnType<typeof startBrowserFlow>>;

/** Options of a sign-in in the browser in a world, which waits in real time. */
export function browserOptions({ options }: ProviderWorld): SessionOptions {
  const { onDeviceCode: _, now: _1, delay: _2, ...rest } = options;
  return { ...rest, flow: "browser" };
}

/** Starts a sign-in and waits until its link is shown; an error where it fails before. */
export async function startBrowserFlow(world: ProviderWorld, options: SessionOptions = {}) {
  const shown = Promise.withResolvers<AuthorizationPrompt>();
  const session = createSession({
    ...browserOptions(world),
    onAuthorizationUrl: shown.resolve,
    ...options,
  });
  session.catch(shown.reject);
  const prompt = await shown.promise;
  const state = new URL(prompt.url).searchParams.get("state") ?? "";
  if (state !== "") rememberSecret(state);
  /** The address of an answer, with the state unless another one is given. */
  const answer = (parameters: Record<string, string>) => {
    for (const name of ["code"]) if (parameters[name]) rememberSecret(parameters[name]);
    return `${prompt.redirectUri}?${new URLSearchParams({ state, ...parameters })}`;
  };
  return { prompt, state, answer, session };
}

/** One request over a connection of its own, byte for byte; gives all that came back. */
export async function rawRequest(port: number, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text)).catch(() => 0);
  return await new Response(connection.readable).text().catch(() => "");
}
