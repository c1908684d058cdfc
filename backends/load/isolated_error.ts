import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { isObject } from "../common/printable.ts";
import { foreignText } from "./backend_setting.ts";

/** The codes of an isolate's errors that are kept. Each other code is `backend_unavailable`. */
const CODES: Readonly<Record<CredentialsBackendErrorCode, true>> = {
  permission_required: true,
  backend_denied: true,
  backend_auth_failed: true,
  backend_corrupt: true,
  backend_version: true,
  backend_locked: true,
  backend_too_large: true,
  backend_full: true,
  backend_unavailable: true,
  backend_timeout: true,
  keychain_locked: true,
  decryption_failed: true,
  encryption_key_unknown: true,
  backend_unproven: true,
  backend_no_list: true,
  unstable_kv_required: true,
  home_unset: true,
  invalid_options: true,
  invalid_backend: true,
  invalid_permissions: true,
  backend_spec_invalid: true,
  backend_import_unsupported: true,
  backend_import_failed: true,
  backend_export_missing: true,
  backend_not_constructible: true,
  backend_kwargs_invalid: true,
  env_invalid: true,
  env_unset: true,
};

/** The code of an isolate's error, where it is one of this module's. */
export function knownCode(code: unknown): CredentialsBackendErrorCode {
  const isKnown = typeof code === "string" && Object.hasOwn(CODES, code);
  return isKnown ? code as CredentialsBackendErrorCode : "backend_unavailable";
}

/** Most characters that are kept to clean texts by them. */
const MOST = 256 * 1024;

/**
 * The options and the newest entries that an isolate has seen: none of its texts may show a piece of
 * one.
 */
export class Given {
  #texts: string[] = [];

  constructor(options: unknown) {
    this.add([options]);
  }

  /** Remembers the texts in the objects of a request or an answer, with a limit. */
  add(value: unknown): void {
    const found = [value].flat().filter(isObject).flatMap((one) => textsIn(one, 8));
    let room = MOST;
    this.#texts = [...found, ...new Set(this.#texts)].filter(({ length }) => (room -= length) >= 0);
  }

  /** A text of the isolate for an error: cleaned, and cut. */
  clean(text: string): string {
    return foreignText(text, this.#texts);
  }
}

function textsIn(value: unknown, depth: number): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null || depth === 0) return [];
  return Object.values(value).flatMap((one) => textsIn(one, depth - 1));
}

/** The coded error for an error in an isolate. */
export function rebuildError(
  { name, code, message }: Record<string, unknown>,
  given: Given,
): CredentialsBackendError {
  if (typeof code === "string" && typeof message === "string") {
    return new CredentialsBackendError(knownCode(code), given.clean(message));
  }
  if (name === "NotCapable") {
    return new CredentialsBackendError(
      "permission_required",
      "Cannot use the isolated credentials backend: it tried an access that `isolate` does not " +
        "permit. Extend `isolate` by it, or do not use that backend.",
    );
  }
  const known = typeof name === "string" &&
    (/^[A-Z][A-Za-z]{0,30}(Error|Exception)$/.test(name) || Object.hasOwn(Deno.errors, name));
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot use the isolated credentials backend: it threw ${known ? name : "an error"}, whose ` +
      `text is left out since it may quote a token. Have it throw a CredentialsBackendError.`,
  );
}
