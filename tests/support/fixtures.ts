import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { setActiveSession } from "../../client/signed_in/session.ts";
import { credentialKey } from "../../client/credential_key.ts";
import type { DeviceCode, SessionOptions } from "../../client/session_options.ts";
import { OidcProvider } from "../../client/provider/oidc_provider.ts";
import type { Runtime } from "../../client/options/runtime.ts";
import type { FlowContext } from "../../client/sign_in/flow.ts";
import type { RefreshAnswer } from "../../client/provider/refresh_grant.ts";
import { type AnyErrorCode, type ErrorWithCode, rejectsWith } from "./rejects_with.ts";
import { FakeClock } from "./fake_clock.ts";
import {
  type OidcProviderOptions,
  startOidcProvider,
  type TestOidcProvider,
} from "./oidc_provider.ts";
import {
  type ScriptedProvider,
  type ScriptedProviderOptions,
  startScriptedProvider,
} from "./scripted_provider.ts";
import { startTrackingApi, type TrackingApi } from "./tracking_api.ts";

/** A provider, an API that asks it about bearers, and options that join them. */
export interface World<P> extends AsyncDisposable {
  readonly provider: P;
  readonly api: TrackingApi;
  readonly clock: FakeClock;
  readonly backend: MemoryCredentialsBackend;
  /** The key of the credential that {@linkcode options} sign in to. */
  readonly key: string;
  /** For `createSession`, and with a model for `init`. */
  readonly options: SessionOptions;
  /** The codes that the person was shown. */
  readonly codes: DeviceCode[];
  /** What is stored now; an error when there is nothing. */
  stored(): OidcCredentials;
  /** Changes what is stored. */
  amend(change: Record<string, unknown>): void;
}

/** A world with a real provider, whose person approves during the first wait for a poll. */
export async function realWorld(
  options: OidcProviderOptions = {},
): Promise<World<TestOidcProvider>> {
  const provider = await startOidcProvider(options);
  const world = await makeWorld(provider);
  const approved = new Set<string>();
  world.clock.onDelay = async () => {
    const code = world.codes.at(-1)?.userCode;
    if (code === undefined || approved.has(code)) return;
    approved.add(code);
    await provider.approve(code);
  };
  return world;
}

/** A world with a scripted provider, whose device codes are born approved. */
export async function scriptedWorld(
  options: ScriptedProviderOptions = {},
): Promise<World<ScriptedProvider>> {
  const provider = await startScriptedProvider(options);
  provider.autoApprove = true;
  return await makeWorld(provider);
}

async function makeWorld<P extends TestOidcProvider | ScriptedProvider>(
  provider: P,
): Promise<World<P>> {
  const api = await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) });
  const clock = new FakeClock();
  const backend = new MemoryCredentialsBackend();
  const codes: DeviceCode[] = [];
  const key = credentialKey(provider.issuer, provider.clientId);
  const stored = () => {
    const entry = backend.get(key);
    if (entry === undefined) throw new Error("Nothing is stored");
    return entry;
  };
  return {
    provider,
    api,
    clock,
    backend,
    key,
    codes,
    stored,
    amend: (change) => backend.put(key, { ...stored(), ...change }),
    options: {
      issuer: provider.issuer,
      clientId: provider.clientId,
      apiHost: api.apiHost,
      credentialsBackend: backend,
      onDeviceCode: (code) => void codes.push(code),
      now: clock.now,
      delay: clock.delay,
    },
    async [Symbol.asyncDispose]() {
      setActiveSession(undefined);
      await api[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

/** The client's side of a world's provider, without sessions and storage. */
export function providerOf(
  world: World<TestOidcProvider | ScriptedProvider>,
  options: { scope?: string; audience?: string } & Partial<Runtime> = {},
): { provider: OidcProvider; runtime: Runtime } {
  const { scope = "openid offline_access", audience, ...rest } = options;
  const { issuer, clientId } = world.provider;
  const runtime = {
    fetch,
    now: world.clock.now,
    delay: world.clock.delay,
    timeoutMs: 5_000,
    ...rest,
  };
  const identity = {
    kind: "oidc",
    issuer,
    clientId,
    scope,
    ...(audience && { audience }),
  } as const;
  return { provider: new OidcProvider(identity, runtime), runtime };
}

/** The means of a flow whose code the caller shows. */
export function flowContext(
  runtime: Runtime,
  onDeviceCode: (code: DeviceCode) => void | Promise<void>,
  signal: AbortSignal = new AbortController().signal,
): FlowContext {
  const show = () => Promise.reject(new Error("The built-in prompt was used"));
  return { runtime, ask: { onDeviceCode, openBrowser: false }, signal, show };
}

/** A minimal backend of three methods, which counts its calls and can be made to fail. */
export class SpyBackend implements OidcCredentialsBackend {
  readonly calls: string[] = [];
  readonly rows = new Map<string, OidcCredentials>();
  /** Runs before each call; what it throws is what the call throws. */
  before: ((method: "get" | "put" | "delete", key: string) => void | Promise<void>) | undefined;

  async get(key: string): Promise<OidcCredentials | undefined> {
    await this.#called("get", key);
    return structuredClone(this.rows.get(key));
  }

  async put(key: string, entry: OidcCredentials): Promise<void> {
    await this.#called("put", key);
    this.rows.set(key, structuredClone(entry));
  }

  async delete(key: string): Promise<void> {
    await this.#called("delete", key);
    this.rows.delete(key);
  }

  async #called(method: "get" | "put" | "delete", key: string): Promise<void> {
    this.calls.push(method);
    await this.before?.(method, key);
  }
}

/** A `fetch` that counts and then does what `handle` says, or what the real one does. */
export function spyFetch(
  handle: (url: string, init: RequestInit) => Promise<Response> | Response = fetch,
): typeof fetch & { urls: string[] } {
  const urls: string[] = [];
  const spy = (input: string | URL | Request, init: RequestInit = {}) => {
    const url = input instanceof Request ? input.url : String(input);
    urls.push(url);
    return Promise.try(() => handle(url, init));
  };
  return Object.assign(spy as typeof fetch, { urls });
}

/** The old name and order of {@linkcode rejectsWith}. */
export function assertCode<C extends AnyErrorCode>(
  run: () => unknown,
  code: C,
  ...words: string[]
): Promise<ErrorWithCode<C>> {
  return rejectsWith(code, run, ...words);
}

/** A refresh whose answer failed a check after it had rotated the token. */
export function failed(answer: RefreshAnswer): { refreshToken: string; error: Error } {
  if (answer.tokens !== undefined) throw new Error("The refresh did not fail");
  return answer;
}

/** The tokens in an entry. */
export function tokensOf(entry: OidcCredentials): string[] {
  return [entry.access_token, entry.refresh_token, entry.id_token].filter((token) =>
    typeof token === "string"
  );
}

/** The paths that a server was asked for. */
export function paths(requests: readonly { path: string }[]): string[] {
  return requests.map(({ path }) => path);
}
