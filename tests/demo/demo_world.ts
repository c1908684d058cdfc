import { credentialKey, FileCredentialsBackend, type OidcCredentials } from "@validmind/auth";
import { walk } from "@std/fs";
import { relative } from "@std/path";
import { startOidcProvider, type TestOidcProvider } from "../support/oidc_provider.ts";
import type { RecordedRequest } from "../support/request_log.ts";
import { startTrackingApi, type TrackingApi } from "../support/tracking_api.ts";

/** What {@linkcode startDemoWorld} is told. */
export interface DemoWorldOptions {
  /** The temporary home, which is also this process's `HOME`. */
  home: string;
  /** Where child processes find Deno's cache: with another `HOME` they would not. */
  denoDir: string;
  /** Whether a person approves the first sign-in. */
  manual: boolean;
  /** Ends what is under way. */
  signal: AbortSignal;
}

/** All that a demo run has to do with, on loopback and in one temporary folder. */
export interface DemoWorld extends DemoWorldOptions, AsyncDisposable {
  readonly provider: TestOidcProvider;
  readonly api: TrackingApi;
  /** The backend that `init()` uses by itself, for a look at what it stored. */
  readonly file: FileCredentialsBackend;
  /** The stored entry. Its tokens are never printed. */
  stored(): OidcCredentials;
  /** Stores the entry as if its access token had ended an hour ago, and ends it at the provider. */
  endAccessToken(): Promise<void>;
}

/** What {@linkcode measure} found. */
export interface Measured<T> {
  readonly value: T;
  readonly took: string;
  /** How many requests went to the provider, and which. */
  readonly requests: string;
}

/** Starts provider and API, and sets the variables that a platform team would set. */
export async function startDemoWorld(options: DemoWorldOptions): Promise<DemoWorld> {
  await using stack = new AsyncDisposableStack();
  const provider = stack.use(await startOidcProvider({ interval: 1 }));
  const api = stack.use(
    await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) }),
  );
  Deno.env.set("VM_OIDC_ISSUER", provider.issuer);
  Deno.env.set("VM_OIDC_CLIENT_ID", provider.clientId);
  Deno.env.set("VM_API_HOST", api.apiHost);
  Deno.env.set("VM_API_MODEL", "cl-demo");
  const file = new FileCredentialsBackend();
  const key = credentialKey(provider.issuer, provider.clientId);
  const running = stack.move();
  const stored = () => {
    const entry = file.get(key);
    if (entry === undefined) throw new Error(`there is no entry in ${file.path}`);
    return entry;
  };
  return {
    ...options,
    provider,
    api,
    file,
    stored,
    async endAccessToken() {
      provider.expireAccessTokens();
      const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
      await file.put(key, { ...stored(), expires_at: anHourAgo });
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Runs `fn` and tells how long it took and what the provider was asked meanwhile. */
export async function measure<T>(world: DemoWorld, fn: () => Promise<T>): Promise<Measured<T>> {
  world.provider.reset();
  const start = performance.now();
  const value = await fn();
  const took = duration(performance.now() - start);
  return { value, took, requests: countRequests(world.provider.requests) };
}

/** A duration as people read it. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.ceil(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Every file below a folder, with what tells who may read it. */
export async function listFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { path } of walk(folder, { includeDirs: false })) {
    const { mode, size } = await Deno.stat(path);
    const access = mode === null ? "" : `, mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`;
    files.push(`${relative(folder, path)} (${size} bytes${access})`);
  }
  return files.sort();
}

const LABELS: [(request: RecordedRequest) => boolean, string][] = [
  [({ path }) => path.endsWith("/openid-configuration"), "discovery"],
  [({ path }) => path === "/device/auth", "device code"],
  [({ grantType }) => grantType?.endsWith(":device_code") === true, "poll"],
  [({ grantType }) => grantType === "refresh_token", "refresh"],
  [({ path }) => path === "/jwks", "signing keys"],
  [({ path }) => path.endsWith("/revocation"), "revocation"],
];

function countRequests(requests: readonly RecordedRequest[]): string {
  const counts = new Map<string, number>();
  for (const request of requests) {
    const label = LABELS.find(([matches]) => matches(request))?.[1] ?? request.path;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const parts = [...counts].map(([label, count]) => count === 1 ? label : `${count} × ${label}`);
  return parts.length === 0 ? "0" : `${requests.length} (${parts.join(", ")})`;
}
