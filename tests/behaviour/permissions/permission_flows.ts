// One flow of one backend, in a process of its own: prints what came of it as JSON.
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { clearOidcCredentials, init } from "../../../client/init.ts";
import type { AuthorizationPrompt, InitOptions } from "../../../client/session_options.ts";
import { Browser } from "../../support/browser.ts";

/** What the parent tells the child. */
export interface FlowInput {
  flow: "sign in" | "browser" | "cached start" | "refresh" | "clear";
  backend: BackendInput | "environment";
  issuer: string;
  clientId: string;
  apiHost: string;
  /** Other options of the sign-in. */
  more?: InitOptions;
}

/** A backend by its kind and path. */
export interface BackendInput {
  kind: "file" | "memory" | "kv";
  path?: string;
}

/** What the child says. */
export interface FlowOutcome {
  ok: boolean;
  code?: string;
  message?: string;
}

/** The backend that an input describes; `undefined` leaves the choice to the environment. */
export function makeBackend(
  input: BackendInput | "environment",
): OidcCredentialsBackend | undefined {
  if (input === "environment") return undefined;
  const options = input.path === undefined ? {} : { path: input.path };
  if (input.kind === "file") return new FileCredentialsBackend(options);
  if (input.kind === "kv") return new KvCredentialsBackend(options);
  return new MemoryCredentialsBackend();
}

/** The options of the flow's sign-in. */
export function flowOptions(input: FlowInput): InitOptions {
  const { issuer, clientId, apiHost } = input;
  const backend = makeBackend(input.backend);
  return {
    issuer,
    clientId,
    apiHost,
    model: "cl123",
    interactive: input.flow === "sign in" || input.flow === "browser",
    ...(input.flow === "browser" && { flow: "browser", openBrowser: false }),
    timeoutMs: 5000,
    ...input.more,
    ...(backend !== undefined && { credentialsBackend: backend }),
  };
}

async function run(input: FlowInput): Promise<void> {
  const options = flowOptions(input);
  switch (input.flow) {
    case "sign in":
      return void await init({ ...options, onDeviceCode: () => {} });
    case "browser":
      return void await init({ ...options, onAuthorizationUrl: follow });
    case "cached start":
      return void await init(options);
    case "refresh":
      return void await (await init(options)).accessToken({ forceRefresh: true });
    case "clear":
      return await clear(input, options);
  }
}

/** Signs in on the provider's pages, and hands in the address of the last one. */
async function follow({ url, redirectUri, submit }: AuthorizationPrompt): Promise<void> {
  const browser = new Browser(undefined, redirectUri);
  const signIn = await browser.open(url);
  const person = { login: "analyst@example.com", password: "any" };
  const consent = await browser.submit(signIn, person);
  await submit((await browser.submit(consent)).url);
}

async function clear(input: FlowInput, options: InitOptions): Promise<void> {
  const { issuer, clientId } = input;
  const { credentialsBackend } = options;
  const { revocation, reason } = await clearOidcCredentials({
    issuer,
    clientId,
    revoke: true,
    ...(credentialsBackend !== undefined && { credentialsBackend }),
  });
  if (revocation !== "revoked") throw new Error(`${revocation}: ${reason}`);
}

if (import.meta.main) {
  let outcome: FlowOutcome = { ok: true };
  try {
    await run(JSON.parse(Deno.args[0]!));
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    outcome = { ok: false, message, ...(code !== undefined && { code }) };
  }
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(outcome)));
}
