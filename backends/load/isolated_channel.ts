import { LONGEST_TIMER_MS } from "../common/promises.ts";
import { isObject } from "../common/printable.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { foreignText } from "./backend_setting.ts";
import type { Isolation } from "./isolate_options.ts";
import type { IsolatedRequest, StartTransport, Transport } from "./isolated_protocol.ts";
import { LONGEST_FRAME } from "./isolated_transport.ts";

/** The backend's part of a channel. */
export interface ChannelEvents {
  /** Takes the values of requests and answers: no text may show a piece of one. */
  note(value: unknown): void;
  /** Makes the error for an error in the isolate. */
  rebuild(fault: Record<string, unknown>): CredentialsBackendError;
}

interface Call extends PromiseWithResolvers<unknown> {
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Requests to one isolate, and their answers. Anything but the one answer to a waiting request ends
 * the isolate: its code is not trusted, and a protocol that was broken once holds nothing.
 */
export class Channel {
  readonly #transport: Transport;
  readonly #limits: Isolation;
  readonly #events: ChannelEvents;
  readonly #calls = new Map<number, Call>();
  #fault: CredentialsBackendError | undefined;
  #ended: Promise<void> | undefined;
  #last = 0;

  constructor(start: StartTransport, limits: Isolation, events: ChannelEvents) {
    this.#limits = limits;
    this.#events = events;
    this.#transport = start({
      receive: (frame) => this.#receive(frame),
      fail: (code, reason) => this.#fail(code, reason),
    });
  }

  /** Whether the isolate has ended. */
  get isEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** The isolate's answer, which may be anything that JSON can hold. */
  async call(method: IsolatedRequest["method"], ...args: unknown[]): Promise<unknown> {
    if (this.#fault !== undefined) throw this.#fault;
    const id = ++this.#last;
    const frame = JSON.stringify({ id, method, args } satisfies IsolatedRequest);
    if (frame.length > LONGEST_FRAME / 3) { // a character takes up to three bytes
      throw new CredentialsBackendError(
        "backend_too_large",
        "Cannot use the isolated credentials backend: a request is too long for it. Ask the " +
          "provider for fewer claims, or use another backend.",
      );
    }
    this.#events.note(args);
    const call = { ...Promise.withResolvers<unknown>(), timer: this.#limit(method) };
    this.#calls.set(id, call);
    this.#transport.send(frame);
    return await call.promise;
  }

  /** Sets whether this process waits for the isolate before it ends. */
  keepAlive(isKept: boolean): void {
    if (!this.isEnded) this.#transport.keepAlive(isKept);
  }

  /** Ends the isolate. A call that waits fails. */
  async end(): Promise<void> {
    this.#fail("backend_unavailable", "it was closed");
    await this.#ended;
  }

  /** Ends the isolate when a call takes too long. The lock has a limit of its own. */
  #limit(method: IsolatedRequest["method"]): ReturnType<typeof setTimeout> | undefined {
    if (method === "lock") return undefined;
    const { startTimeoutMs, callTimeoutMs } = this.#limits;
    const ms = method === "open" ? startTimeoutMs : callTimeoutMs;
    return setTimeout(
      () => this.#fail("backend_timeout", `it did not answer within ${ms} ms`),
      Math.min(ms, LONGEST_TIMER_MS),
    );
  }

  #receive(frame: unknown): void {
    if (this.isEnded) return;
    const answer = parseAnswer(frame);
    const call = answer && this.#calls.get(answer.id as number);
    if (answer === undefined || call === undefined) {
      return this.#fail("backend_corrupt", "it sent something that is no answer to a request");
    }
    this.#calls.delete(answer.id as number);
    clearTimeout(call.timer);
    const { error, value } = answer;
    if (error === undefined) {
      this.#events.note(value);
      call.resolve(value);
    } else call.reject(this.#events.rebuild(isObject(error) ? error : {}));
  }

  #fail(
    code: "backend_unavailable" | "backend_corrupt" | "backend_timeout",
    reason: string,
  ): void {
    if (this.isEnded) return;
    this.#fault = new CredentialsBackendError(
      code,
      `Cannot use the isolated credentials backend: ${reason}. Repair it, or use another one.`,
    );
    this.#ended = this.#transport.end();
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(this.#fault);
    }
    this.#calls.clear();
  }
}

/** The object in a frame, without members that would change a prototype. */
function parseAnswer(frame: unknown): Record<string, unknown> | undefined {
  if (typeof frame !== "string" || frame.length > LONGEST_FRAME) return undefined;
  try {
    const answer = JSON.parse(
      frame,
      (name, value) => name === "__proto__" ? undefined : value,
    );
    return isObject(answer) ? answer : undefined;
  } catch {
    return undefined; // no JSON, or nested too deeply
  }
}

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
  runtime_unsupported: true,
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
