import { isObject } from "../../../backends/common/printable.ts";
import type { Access, Verdict } from "./rules.ts";

/** The longest question: Deno's own have one path, host or name. */
const LONGEST_LINE = 256 * 1024;

/** A question as Deno's broker protocol, version 1, has it. */
export interface BrokerRequest extends Access {
  readonly id: number;
  readonly datetime: string;
}

/** Decides a question. The reason is shown to the code that was denied. */
export type Decide = (request: BrokerRequest) => Verdict & { readonly reason: string };

/**
 * The socket at which one Deno process asks for each permission, named to it by
 * `DENO_PERMISSION_BROKER_PATH`. It lies in a folder of this user alone and takes one client, the
 * process itself: then the socket is gone. Deno ends at its next question when the connection ends, so
 * that a broker which fails or is killed grants nothing.
 */
export class PermissionBroker implements Disposable {
  readonly #folder: string;
  readonly #listener: Deno.UnixListener;
  readonly path: string;
  #connection: Deno.Conn | undefined;

  constructor() {
    this.#folder = Deno.makeTempDirSync({ prefix: "validmind-kernel-" }); // 0700
    this.path = `${this.#folder}/broker.sock`;
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
  }

  /**
   * Serves the process until its end.
   *
   * @returns Whether the process kept to the protocol. Where it did not, it has no connection any more.
   */
  async serve(pid: number, decide: Decide): Promise<boolean> {
    const connection = await this.#listener.accept();
    this.#connection = connection;
    this.#closeListener();
    try {
      let id = 0;
      for await (const line of linesOf(connection)) {
        const request = line === undefined ? undefined : parseRequest(line, pid, ++id);
        if (request === undefined) return false;
        const { isAllowed, reason } = decide(request);
        const answer = isAllowed ? { id, result: "allow" } : { id, result: "deny", reason };
        await writeAll(connection, `${JSON.stringify(answer)}\n`);
      }
      return true;
    } finally {
      this[Symbol.dispose]();
    }
  }

  #closeListener(): void {
    try {
      this.#listener.close();
      Deno.removeSync(this.#folder, { recursive: true });
    } catch {
      // It was closed before.
    }
  }

  [Symbol.dispose](): void {
    this.#closeListener();
    try {
      this.#connection?.close();
    } catch {
      // The process has ended.
    }
  }
}

/** The lines of a connection; `undefined` for one that is too long. A piece at the end is no line. */
async function* linesOf(connection: Deno.Conn): AsyncGenerator<string | undefined> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(16 * 1024);
  let text = "";
  for (;;) {
    const length = await connection.read(chunk).catch(() => null);
    if (length === null) return;
    text += decoder.decode(chunk.subarray(0, length), { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    yield* lines;
    if (text.length > LONGEST_LINE) yield undefined;
  }
}

/** A question in the form of the protocol, from this process, with the next number. */
function parseRequest(line: string, pid: number, id: number): BrokerRequest | undefined {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(request)) return undefined;
  const { v, permission, value, datetime } = request;
  const isKnown = v === 1 && request.pid === pid && request.id === id &&
    typeof permission === "string" && typeof datetime === "string" &&
    (value === null || typeof value === "string");
  return isKnown ? { id, datetime, permission, value } : undefined;
}

async function writeAll(connection: Deno.Conn, text: string): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(await connection.write(bytes));
    } catch {
      return; // the process has ended
    }
  }
}
