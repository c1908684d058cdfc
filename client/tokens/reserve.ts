import { backendError } from "../../backends/common/describe_backend.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";

/** New tokens may be longer than the ones that they replace. */
const GROWTH_BYTES = 2048;

/** The place of a coming entry in its store. Disposal frees it, once the reservation has ended. */
export class Reservation implements AsyncDisposable {
  readonly #reserving: Promise<AsyncDisposable | undefined>;

  constructor(backend: OidcCredentialsBackend, key: string, present: OidcCredentials) {
    this.#reserving = reserve(backend, key, present);
    this.#reserving.catch(() => undefined); // thrown by `ready`
  }

  /**
   * Waits until the store is known to accept the next `put`.
   *
   * @throws {CredentialsBackendError} The error of that `put`.
   */
  async ready(): Promise<void> {
    await this.#reserving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reserved = await this.#reserving.catch(() => undefined);
    await reserved?.[Symbol.asyncDispose]();
  }
}

async function reserve(
  backend: OidcCredentialsBackend,
  key: string,
  present: OidcCredentials,
): Promise<AsyncDisposable | undefined> {
  try {
    if (backend.reserve === undefined) return await tryWrite(backend, present);
    const bytes = new TextEncoder().encode(JSON.stringify(present)).length + GROWTH_BYTES;
    return await backend.reserve(key, bytes);
  } catch (error) {
    throw backendError("write credentials to", backend, error);
  }
}

/**
 * Writes and removes an entry of the same size under a key of its own. The present entry is not
 * written again in its own place: that would undo a sign-out or a rotation of another process since
 * it was read.
 */
async function tryWrite(
  backend: OidcCredentialsBackend,
  present: OidcCredentials,
): Promise<undefined> {
  if (backend.persistent === false) return;
  const key = `probe|${crypto.randomUUID()}`;
  const padding = "x".repeat(JSON.stringify(present).length);
  await backend.put(key, {
    issuer: "probe",
    client_id: "probe",
    access_token: padding,
    expires_at: new Date(0).toISOString(),
  });
  await backend.delete(key);
}
