import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { isFresh } from "../entry.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { HeldTokens } from "./source.ts";

/** How long a token in its last minutes is used on while the provider cannot be reached. */
const BRIDGE_MS = 10_000;

/**
 * Whether a token in its last minutes is used on after an error: the provider or the store has a fault,
 * which says nothing about the token. If so, no new one is tried for some seconds.
 */
export function bridges(held: HeldTokens, error: unknown, now: number): boolean {
  const isFault = error instanceof CredentialsBackendError ||
    (error instanceof ValidMindAuthError && error.code === "provider_unavailable");
  const { bearer } = held;
  if (!isFault || bearer === undefined || now >= bearer.expiresAt) return false;
  held.useUntil(Math.min(bearer.expiresAt, now + BRIDGE_MS));
  return true;
}

/** Takes over an entry. A live token that is not fresh is used for half its remaining time. */
export function adopt(held: HeldTokens, entry: OidcCredentials, now: number): void {
  held.adopt(entry);
  const leftMs = (held.bearer?.expiresAt ?? 0) - now;
  if (leftMs > 0 && !isFresh(held.bearer, now)) held.useUntil(now + leftMs / 2);
}
