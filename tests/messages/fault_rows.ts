import { FileCredentialsBackend } from "../../backends/file.ts";
import { createSession } from "../../client/create_session.ts";
import type { SessionOptions } from "../../client/session_options.ts";
import type { OidcProviderOptions, TestOidcProvider } from "../support/oidc_provider.ts";
import {
  oidcProviderWorld,
  type ProviderWorld,
  scriptedProviderWorld,
} from "../support/provider_world.ts";
import {
  json,
  type ScriptedProvider,
  type ScriptedProviderOptions,
} from "../support/scripted_provider.ts";
import { tempDir } from "../support/temp_home.ts";
import { type Heard, heardFrom, type MessageRow, originNames } from "./message_row.ts";

export type World<P extends TestOidcProvider | ScriptedProvider> = ProviderWorld<P>;

export const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
export const ENDED = "2020-01-01T00:00:00.000Z";

/** A row about the certified provider. */
export function real(
  what: string,
  run: (world: World<TestOidcProvider>) => unknown,
  options: OidcProviderOptions = {},
): MessageRow {
  return { what, where: "oidc-provider", hear: () => inWorld(oidcProviderWorld(options), run) };
}

/** A row about a fault that the certified provider does not have. */
export function scripted(
  what: string,
  run: (world: World<ScriptedProvider>) => unknown,
  { where = "a stand-in", ...options }: ScriptedProviderOptions & { where?: string } = {},
): MessageRow {
  return { what, where, hear: () => inWorld(scriptedProviderWorld(options), run) };
}

export async function inWorld<P extends TestOidcProvider | ScriptedProvider>(
  making: Promise<World<P>>,
  run: (world: World<P>) => unknown,
): Promise<Heard> {
  await using world = await making;
  const { provider, api } = world;
  return await heardFrom(() => run(world), originNames(provider.issuer, api.apiHost));
}

/** Signs in, as a script that a person runs does. */
export function signIn(
  { options }: Pick<World<ScriptedProvider>, "options">,
  more: SessionOptions = {},
) {
  return createSession({ ...options, ...more });
}

/** Signs in, lets the token end, and starts again as a job does. */
export async function jobAfter(
  world: World<TestOidcProvider> | World<ScriptedProvider>,
  change: () => unknown,
) {
  await using home = await tempDir();
  const credentialsBackend = new FileCredentialsBackend({ path: `${home.path}/tokens.json` });
  await using _ = await signIn(world, { credentialsBackend });
  const { key } = world;
  credentialsBackend.put(key, { ...credentialsBackend.get(key)!, expires_at: ENDED });
  await change();
  try {
    await signIn(world, { credentialsBackend, interactive: false });
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(home.path, "/home/ada");
    throw error;
  }
}

/** Answers that a provider gives to the next request of a kind. */
export function answering(
  endpoint: "discovery" | "device" | "token" | "jwks",
  answer: (request: Request) => Response | Promise<Response>,
) {
  return (world: World<ScriptedProvider>) => {
    for (let times = 0; times < 3; times++) world.provider.script[endpoint].push(answer);
    return signIn(world);
  };
}

export function refusal(error: string, error_description: string, status = 400) {
  return () => json({ error, error_description }, status);
}

export async function withIdToken(
  world: World<ScriptedProvider>,
  idToken: () => string | Promise<string>,
) {
  world.provider.script.token.push(async () =>
    await world.provider.tokens({ id_token: await idToken() })
  );
  return await signIn(world);
}
