import type { AuthorizationPrompt, SessionOptions } from "../../mod.ts";
import { rememberSecret } from "./assert_no_secret.ts";
import type { ScriptedWorld } from "./provider_world.ts";

/** An answer of an API that wants another sign-in. */
export const demanding = (challenge: string, status = 401) => () =>
  new Response("more, please", { status, headers: { "www-authenticate": challenge } });

/** The challenges of RFC 9470, RFC 6750 and Microsoft Entra. */
export const STEP_UP = 'Bearer error="insufficient_user_authentication", acr_values="gold silver"';
export const NEWER = 'Bearer error="insufficient_user_authentication", max_age="0"';
export const WIDER = 'Bearer realm="api", error="insufficient_scope", scope="things.write"';
export const CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';
export const ENTRA = `Bearer realm="", error="insufficient_claims", claims="${btoa(CLAIMS)}"`;

/** The members of the answer that a person's sign-in brings. */
export interface Brings {
  /** Claims of the ID token. */
  claims?: Record<string, unknown>;
  /** Other members, such as the granted scope. */
  members?: Record<string, unknown>;
}

type World = Pick<ScriptedWorld, "provider">;

/** The address of the last page of a sign-in in the browser that brings these. */
export async function approveAt(
  { provider }: World,
  url: string,
  { claims = {}, members }: Brings = {},
): Promise<string> {
  const { searchParams } = new URL(url);
  const [state, nonce] = ["state", "nonce"].map((name) => searchParams.get(name)!);
  rememberSecret(state!);
  const auth_time = Math.floor(Date.now() / 1000);
  const id_token = await provider.idToken({ nonce, auth_time, ...claims });
  provider.script.token.push(() => provider.tokens({ id_token, ...members }));
  const answer = new URLSearchParams({ state: state!, code: crypto.randomUUID() });
  return `${searchParams.get("redirect_uri")}?${answer}`;
}

/** Options with a person at the browser, whose sign-ins bring these, one after the other. */
export function personAtBrowser(
  world: World,
  brings: readonly Brings[],
): SessionOptions & { readonly links: URL[] } {
  const { provider } = world;
  const authorization_endpoint = `${provider.issuer}/authorize`;
  provider.discovery = { ...provider.discovery, authorization_endpoint };
  const links: URL[] = [];
  const onAuthorizationUrl = async ({ url }: AuthorizationPrompt) => {
    const next = brings[links.length];
    links.push(new URL(url));
    await (await fetch(await approveAt(world, url, next))).body?.cancel();
  };
  // In real time: the wait for the browser has an end.
  const clock = { now: undefined, delay: undefined } as object;
  return { flow: "browser", onAuthorizationUrl, links, ...clock };
}
