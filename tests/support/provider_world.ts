import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../client/create_session.ts";
import { credentialKey } from "../../client/credential_key.ts";
import type { Session } from "../../client/session.ts";
import type { DeviceCode, SessionOptions } from "../../client/session_options.ts";
import { setActiveSession } from "../../client/signed_in/session.ts";
import { FakeClock } from "./fake_clock.ts";
import {
  type OidcProviderOptions,
  startOidcProvider,
  type TestOidcProvider,
} from "./oidc_provider.ts";
import { OwnEnv } from "./own_env.ts";
import {
  type ScriptedProvider,
  type ScriptedProviderOptions,
  startScriptedProvider,
} from "./scripted_provider.ts";
import { startTrackingApi } from "./tracking_api.ts";

/**
 * A provider, an API that asks it about bearers, and options that join them. While it stands, no
 * variable of the process chooses anything: see {@linkcode OwnEnv}.
 */
export type ProviderWorld<P extends AnyProvider = AnyProvider> = Awaited<
  ReturnType<typeof makeProviderWorld<P>>
>;
type AnyProvider = TestOidcProvider | ScriptedProvider;

/** A world with a real provider, whose person approves during the first wait for a poll. */
export async function oidcProviderWorld(options: OidcProviderOptions = {}) {
  const provider = await startOidcProvider(options);
  const world = await makeProviderWorld(provider);
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
export async function scriptedProviderWorld(options: ScriptedProviderOptions = {}) {
  const provider = await startScriptedProvider(options);
  provider.autoApprove = true;
  return await makeProviderWorld(provider);
}

async function makeProviderWorld<P extends AnyProvider>(provider: P) {
  const api = await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) });
  const clock = new FakeClock();
  const backend = new MemoryCredentialsBackend();
  const codes: DeviceCode[] = [];
  const key = credentialKey(provider.issuer, provider.clientId);
  /** What is stored now; an error when there is nothing. */
  const stored = (): OidcCredentials => {
    const entry = backend.get(key);
    if (entry === undefined) throw new Error("Nothing is stored");
    return entry;
  };
  const env = new OwnEnv();
  const options: SessionOptions = {
    issuer: provider.issuer,
    clientId: provider.clientId,
    apiHost: api.apiHost,
    credentialsBackend: backend,
    onDeviceCode: (code) => void codes.push(code),
    now: clock.now,
    delay: clock.delay,
  };
  return {
    provider,
    api,
    clock,
    backend,
    /** The key of the credential that `options` sign in to. */
    key,
    /** The codes that the person was shown. */
    codes,
    stored,
    /** Changes what is stored. */
    amend: (change: Record<string, unknown>) => void backend.put(key, { ...stored(), ...change }),
    /** For `createSession`, and with a model for `init`. */
    options,
    /** Signs in, or starts from the store, by the world's options and others. */
    signIn: (more?: SessionOptions) => createSession({ ...options, ...more }),
    /** Signs the client itself in, as a job does, which shows nobody a code. */
    job: (more?: SessionOptions) => {
      const { onDeviceCode: _, ...rest } = options;
      return createSession({ ...rest, flow: "client_credentials", ...more });
    },
    async [Symbol.asyncDispose]() {
      setActiveSession(undefined);
      env[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

type Run<W> = (world: W) => Promise<void>;
/** A world with a scripted provider. */
export type ScriptedWorld = ProviderWorld<ScriptedProvider>;
/** A world with a real provider. */
export type RealWorld = ProviderWorld<TestOidcProvider>;
interface SignedIn {
  session: Session;
}

function worldTest<W extends AsyncDisposable>(start: () => Promise<W>) {
  return (name: string, run: Run<W>) =>
    Deno.test(name, async () => {
      await using world = await start();
      await run(world);
    });
}

async function signedIn<P extends AnyProvider>(start: () => Promise<ProviderWorld<P>>) {
  const world = await start();
  return Object.assign(world, { session: await world.signIn() });
}

/**
 * A test in a world of its own: with a scripted provider, or with a real one, where somebody has signed
 * in or nobody.
 */
export const test = Object.assign(
  worldTest<ScriptedWorld>(() => scriptedProviderWorld()),
  {
    signedIn: worldTest<ScriptedWorld & SignedIn>(() => signedIn(() => scriptedProviderWorld())),
    real: worldTest<RealWorld>(() => oidcProviderWorld()),
    realSignedIn: worldTest<RealWorld & SignedIn>(() => signedIn(() => oidcProviderWorld())),
  },
);

/** The usual lifetime of a token, in milliseconds. */
export const HOUR = 3600_000;

/** How often a provider was asked for a refresh. */
export function refreshes({ provider }: ScriptedWorld | RealWorld): number {
  return provider.requests.filter(({ grantType }) => grantType === "refresh_token").length;
}

/** Gets another token, whatever the state of the one there is. */
export function renew(session: Session): Promise<string> {
  return session.accessToken({ forceRefresh: true });
}

/** Lets a provider answer the next request for tokens with these members beside the usual ones. */
export function answerWith({ provider }: ScriptedWorld, members: Record<string, unknown>): void {
  provider.script.token.push(() => provider.tokens(members));
}
