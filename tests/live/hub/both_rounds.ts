import { createSession } from "@validmind/auth";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { Random } from "../../lab/torture/random.ts";
import {
  hang,
  oauthError,
  resetConnection,
  type ScriptHandler,
  startScriptedProvider,
} from "../../support/scripted_provider.ts";
import type { pythonLibrary } from "./python_library.ts";

/** The answers to a refresh that end nothing, and those that take no token from anybody. */
const FAULTS: Record<string, ScriptHandler> = {
  "503": () => new Response("busy", { status: 503 }),
  "429": () => new Response("", { status: 429, headers: { "retry-after": "1" } }),
  "timeout": hang,
  "no connection": resetConnection,
  "invalid_request": () => oauthError("invalid_request"),
  "invalid_client": () => oauthError("invalid_client", 401),
};
const LONGEST_OFFSET_MS = 1_000;
/** Long enough for a busy machine: an answer that comes too late is a token that is lost. */
const REQUEST_MS = 5_000;

/** A store of both languages. */
export interface BothStore {
  readonly backend: OidcCredentialsBackend;
  readonly python: ReturnType<typeof pythonLibrary>;
}

/**
 * Lets both languages refresh one expired sign-in at once, each time with another fault at the provider. In
 * every tenth round the provider ends the grant. Gives what went wrong, and what each language said.
 */
export async function bothRounds({ backend, python }: BothStore, count: number, seed: number) {
  const random = new Random(seed);
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  const { issuer, clientId } = provider;
  const key = credentialKey(issuer, clientId);
  const options = { issuer, clientId, credentialsBackend: backend, timeoutMs: REQUEST_MS };
  const signIn = () => createSession({ ...options, onDeviceCode: () => {} });
  const byDeno = async () => {
    const session = await createSession({ ...options, interactive: false });
    return await session.accessToken();
  };
  const byPython = () =>
    python(
      `setattr(library.oidc_device.refresh_access_token, '__defaults__', (None, ${
        REQUEST_MS / 1000
      }, None)) or library.obtain(*A)`,
      issuer,
      clientId,
    );
  const failures: string[] = [];
  const figures: Record<string, number> = {};
  /** An error by its code, in Python by its class. */
  const told = (who: string, said: Promise<unknown>) =>
    said.then(() => "a token", (error) => {
      const text = `${
        error.code ?? /\w+(?=: Cannot)|login_required|\w+Error/.exec(error.message)?.[0]
      }`;
      return text;
    }).then((text) => {
      figures[`${who}: ${text}`] = (figures[`${who}: ${text}`] ?? 0) + 1;
      return text;
    });
  const names = Object.keys(FAULTS);
  await insist(signIn);
  for (let round = 0; round < count; round++) {
    const stored = await insist(() => backend.get(key));
    await insist(async () => {
      await backend.put(key, { ...stored!, expires_at: "2020-01-01T00:00:00+00:00" });
    });
    const isEnded = round % 10 === 9;
    if (isEnded) {
      const body = new URLSearchParams({ token: stored!.refresh_token! });
      await (await fetch(`${issuer}/revoke`, { method: "POST", body })).body?.cancel();
    }
    const faults = Array.from(
      { length: isEnded ? 0 : random.int(0, 2) },
      () => names[random.int(0, names.length - 1)]!,
    );
    provider.script.token.push(...faults.map((name) => FAULTS[name]!));
    const offset = random.int(-LONGEST_OFFSET_MS, LONGEST_OFFSET_MS);
    const said = await Promise.all([
      told("Deno", after(-offset, byDeno)),
      told("Python", after(offset, byPython)),
    ]);
    provider.script.token.length = 0;
    const left = await insist(() => backend.get(key));
    const isKept = !!left && provider.isActive(left.refresh_token!);
    if (isKept === isEnded) failures.push(`round ${round}: ${faults.join()}; ${said.join()}`);
    if (!isKept) await insist(signIn);
  }
  return { failures, figures };
}

/** Does a thing of the test itself, in a store that has faults. */
async function insist<T>(fn: () => Promise<T> | T): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await fn();
    } catch (error) {
      if (tries === 20) throw error;
    }
  }
}

async function after<T>(ms: number, fn: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
  return await fn();
}
