import { credentialKey, type CredentialKeyOptions, FileCredentialsBackend } from "@validmind/auth";
import { CLIENT_SECRET } from "../../support/client_world.ts";
import { entry } from "../../support/entries.ts";
import { makeLocalCa } from "../../support/local_ca.ts";
import {
  json,
  type ScriptedEndpoint,
  type ScriptedProvider,
  startScriptedProvider,
} from "../../support/scripted_provider.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../../support/tracking_api.ts";

/** A person with an empty home, a provider that approves at once, and an API. */
export interface DoctorWorld {
  readonly provider: ScriptedProvider;
  readonly api: TrackingApi;
  readonly home: string;
  /** Variables of both commands. */
  readonly env: Record<string, string>;
  /** Flags of both commands. */
  readonly flags: string[];
  readonly stack: AsyncDisposableStack;
}

/** Makes the world of a set-up. */
export type SetUp = (world: DoctorWorld) => void | Promise<unknown>;

/** A page of another server. */
export const HTML = () =>
  new Response("<html>", { headers: { "content-type": "text/html" }, status: 404 });
/** An address at which nobody answers. */
export const deadUrl = () => `http://127.0.0.1:${freePort()}/`;

/** Sets variables. */
export function env(variables: Record<string, string>): SetUp {
  return (world) => void Object.assign(world.env, variables);
}

/** Changes the discovery document. */
export function discovery(members: Record<string, unknown>): SetUp {
  return ({ provider }) => void Object.assign(provider.discovery, members);
}

/** Lets an endpoint answer each request so. */
export function answer(
  endpoint: ScriptedEndpoint,
  make: (provider: ScriptedProvider) => Response | Promise<Response>,
): SetUp {
  return ({ provider }) => {
    const again = () => {
      provider.script[endpoint].push(again);
      return make(provider);
    };
    provider.script[endpoint].push(again);
  };
}

/** Writes a private file, and names it in a variable. */
export function file(variable: string, text: string): SetUp {
  return async ({ home, env }) => {
    const path = env[variable] = `${home}/${variable}`;
    await Deno.writeTextFile(path, text, { mode: 0o600 });
  };
}

/** Stores a sign-in, valid or not, by default of a person with tokens that are not bound. */
export function stored(
  change: Record<string, unknown> = {},
  kind: CredentialKeyOptions = {},
): SetUp {
  return async ({ provider: { issuer, clientId }, home }) => {
    const backend = new FileCredentialsBackend({ path: `${home}/.validmind/credentials.json` });
    const row = entry({ issuer, client_id: clientId, id_token: undefined, ...change });
    row.refresh_token = crypto.randomUUID(); // a process knows those that are spent
    await backend.put(credentialKey(issuer, clientId, undefined, kind), row);
  };
}

/** Several changes, in their order. */
export function all(...changes: SetUp[]): SetUp {
  return async (world) => {
    for (const change of changes) await change(world);
  };
}

export async function doctorWorld(stack: AsyncDisposableStack): Promise<DoctorWorld> {
  const provider = stack.use(await startScriptedProvider({ interval: 0.01, deviceCodeTtl: 1 }));
  provider.autoApprove = true;
  const api = stack.use(await startTrackingApi({ accepts: () => false }));
  const { path: home } = stack.use(await tempDir());
  const env = { HOME: home, VM_OIDC_ISSUER: provider.issuer, VM_OIDC_CLIENT_ID: provider.clientId };
  return { provider, api, home, env, flags: [], stack };
}

export async function untrustedHost({ provider, stack }: DoctorWorld): Promise<void> {
  const pair = await (await makeLocalCa()).issue(["127.0.0.1"]);
  const place = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const server = Deno.serve({ ...place, ...pair }, () => json({}));
  stack.use(server);
  provider.discovery.token_endpoint = `https://127.0.0.1:${server.addr.port}/token`;
}

const date = (minutes: number) => new Date(Date.now() + minutes * 60_000);
/** A provider whose clock is so many minutes ahead. */
export function clock(minutes: number): SetUp {
  const iat = Math.floor(date(minutes).getTime() / 1000);
  const headers = { date: date(minutes).toUTCString() };
  const later = async (provider: ScriptedProvider) => {
    const id_token = await provider.idToken({ iat, exp: iat + 3600 });
    const { body } = await provider.tokens({ id_token });
    return new Response(body, { headers: { ...headers, "content-type": "application/json" } });
  };
  return all(
    answer("token", later),
    answer("discovery", (provider) => json(provider.document(), 200, headers)),
  );
}

/** The flow in the browser, at a provider that has it. */
export const browser = all(
  env({ VM_OIDC_FLOW: "browser" }),
  ({ provider }) =>
    void (provider.discovery.authorization_endpoint = `${provider.issuer}/authorize`),
);
/** The flow of a job. */
export const job = env({ VM_OIDC_FLOW: "client_credentials" });
export const secret = env({ VM_OIDC_CLIENT_SECRET: CLIENT_SECRET });
