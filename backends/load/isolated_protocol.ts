/** A request to the code that holds an isolated backend. Travels as JSON. */
export interface IsolatedRequest {
  readonly id: number;
  readonly method:
    | "open"
    | "get"
    | "put"
    | "delete"
    | "list"
    | "deleteAll"
    | "lock"
    | "unlock"
    | "abort"
    | "reserve"
    | "release";
  readonly args: readonly unknown[];
}

/** An answer to a request. Travels as JSON. Its text comes from code that is not trusted. */
export interface IsolatedAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: IsolatedFault;
}

/** An error by its name. A coded one has its code and text, too. */
export interface IsolatedFault {
  readonly name: string;
  readonly code?: string;
  readonly message?: string;
  /** The failed step of loading. */
  readonly step?: "import" | "export" | "class" | "construct";
  /** The exports of a module that lacks the named one. */
  readonly exports?: string;
}

/** The description of a backend that was loaded. */
export interface IsolatedInfo {
  /** The methods of `OidcCredentialsBackend` that it has. */
  readonly methods: readonly string[];
  readonly persistent: boolean | undefined;
  readonly location: string | undefined;
}

/** The events of a transport. */
export interface TransportEvents {
  /** Takes one frame. Its text may be anything. */
  receive(frame: unknown): void;
  /** Takes the end of the isolate, or a frame that breaks the limits, with the reason in words. */
  fail(code: "backend_unavailable" | "backend_corrupt", reason: string): void;
}

/** The way to an isolated backend: a Worker, or the pipes of a process. */
export interface Transport {
  /** Sends one frame, without a line break in it. */
  send(frame: string): void;
  /** Sets whether this process waits for the isolate before it ends. */
  keepAlive(isKept: boolean): void;
  /** Ends the isolate, whatever it does, and waits until it has ended. */
  end(): Promise<void>;
}

/** Starts an isolate. */
export type StartTransport = (events: TransportEvents) => Transport;
