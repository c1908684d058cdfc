import { isObject } from "../common/printable.ts";
import { LONGEST_TIMER_MS } from "../common/delay.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
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
