/** A message of a kernel on a cell. */
export interface CellMessage {
  type: string;
  content: {
    name?: string;
    text?: string;
    data?: Record<string, string>;
    ename?: string;
    evalue?: string;
    execution_state?: string;
  };
}

/** A cell that says nothing of what is waited for has failed after this time. */
const LIMIT_MS = 180_000;

/** Around what {@linkcode HubKernel.evaluate} prints, so that it is told from other output. */
const [BEGIN, END] = ["<<value ", " value>>"];

/** How a value is printed, by the language of the kernel. */
const PRINT: Record<string, (body: string) => string> = {
  deno: (body) =>
    `console.log("${BEGIN}" + JSON.stringify(await (async () => {\n${body}\n})()) + "${END}");`,
  // Else a name of one cell would not be there in the next.
  python3: (body) => `${body}\nimport json\nprint("${BEGIN}" + json.dumps(value) + "${END}")`,
};

/** A kernel in a person's server, reached as JupyterLab reaches it. */
export class HubKernel implements AsyncDisposable {
  readonly #name: string;
  readonly #socket: WebSocket;
  readonly #session = crypto.randomUUID();
  readonly #cells = new Map<string, Cell>();

  private constructor(name: string, socket: WebSocket) {
    this.#name = name;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () =>
      this.#cells.forEach((cell) => cell.fail(new Error("the kernel is gone")));
  }

  /**
   * @param name Of the kernel's specification.
   * @param channels The address of its websocket.
   */
  static async connect(name: string, channels: string, headers: Record<string, string>) {
    const socket = new WebSocket(channels, { headers });
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => reject(new Error(`Cannot reach a kernel: ${describe(event)}`));
    });
    return new HubKernel(name, socket);
  }

  /** Runs a cell, without waiting for its end. */
  send(code: string): Cell {
    const id = crypto.randomUUID();
    const cell = new Cell();
    this.#cells.set(id, cell);
    this.#socket.send(JSON.stringify({
      header: {
        msg_id: id,
        msg_type: "execute_request",
        session: this.#session,
        username: "",
        date: new Date().toISOString(),
        version: "5.3",
      },
      parent_header: {},
      metadata: {},
      channel: "shell",
      content: {
        code,
        silent: false,
        store_history: true,
        user_expressions: {},
        allow_stdin: false,
        stop_on_error: false,
      },
    }));
    return cell;
  }

  /**
   * The value of a cell: in a Deno kernel what the body of a function returns, in a Python kernel what
   * the variable `value` has at its end. A cell's result itself may come after its end, or never.
   */
  async evaluate<T>(body: string): Promise<T> {
    const cell = this.send(PRINT[this.#name]!(body));
    const valueIn = ({ content: { text = "" } }: CellMessage) =>
      text.split(BEGIN)[1]?.split(END)[0];
    return JSON.parse(valueIn(await cell.waitFor((message) => valueIn(message) !== undefined))!);
  }

  /** How calls in a Deno kernel end: "done", or the name of the error. */
  async outcomes(...calls: string[]): Promise<string[]> {
    const list = calls.map((call) => `() => ${call}`).join();
    return await this.evaluate(`
      const outcomes = [];
      for (const call of [${list}]) {
        outcomes.push(await call().then(() => "done", (error) => error.name));
      }
      return outcomes;`);
  }

  #receive({ parent_header, msg_type, content }: Received): void {
    this.#cells.get(parent_header?.msg_id ?? "")?.receive({ type: msg_type, content });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    await new Promise((resolve) => {
      this.#socket.onclose = resolve;
      this.#socket.close();
    });
  }
}

interface Received {
  parent_header?: { msg_id?: string };
  msg_type: string;
  content: CellMessage["content"];
}

/** A cell that was sent to a kernel. */
class Cell {
  readonly #messages: CellMessage[] = [];
  #changed = Promise.withResolvers<void>();
  #error: Error | undefined;

  /** The first message that is wanted, come or still to come. Throws the error of the cell. */
  async waitFor(wanted: (message: CellMessage) => boolean): Promise<CellMessage> {
    const timer = setTimeout(() => this.fail(new Error("Cannot wait longer for a cell")), LIMIT_MS);
    try {
      for (;;) {
        const found = this.#messages.find(wanted);
        if (found !== undefined) return found;
        if (this.#error !== undefined) throw this.#error;
        await this.#changed.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  receive(message: CellMessage): void {
    this.#messages.push(message);
    const { ename, evalue } = message.content;
    if (message.type === "error") this.#error = new Error(`${ename}: ${evalue}`);
    this.#change();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function describe(event: Event): string {
  return event instanceof ErrorEvent ? event.message : event.type;
}
