import { HubKernel } from "./hub_kernel.ts";

/** Longer than a person's server takes to start on a busy machine. */
export const START_MS = 240_000;
const POLL_MS = 300;

/** A service of the hub that acts for everybody, by the hub's own API. */
export class HubRobot {
  readonly #origin: string;
  readonly #headers: Record<string, string>;

  constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#headers = { Authorization: `token ${token}` };
  }

  /** Starts a person's server unless it runs, and waits until it answers. */
  async startServer(name: string): Promise<void> {
    // A hub that was started again looks first whether it still runs.
    const isKnown = async () => (await this.#serverOf(name))?.pending !== "check";
    await until(`what the hub knows of the server of ${name}`, isKnown);
    const isReady = async () => (await this.#serverOf(name))?.ready === true;
    if (await isReady()) return;
    await this.#request("POST", `/hub/api/users/${name}/server`);
    await until(`the server of ${name}`, isReady);
  }

  /** Stops a person's server if it runs, and waits until it has ended. */
  async stopServer(name: string): Promise<void> {
    if (await this.#serverOf(name) === undefined) return;
    await this.#request("DELETE", `/hub/api/users/${name}/server`);
    await this.serverEnd(name);
  }

  /** Waits until a person's server has ended. */
  async serverEnd(name: string): Promise<void> {
    const isGone = async () => await this.#serverOf(name) === undefined;
    await until(`the end of the server of ${name}`, isGone);
  }

  /** Whether the hub knows a person. */
  async knows(name: string): Promise<boolean> {
    const users = await this.#request<{ name: string }[]>("GET", "/hub/api/users");
    return users.some((user) => user.name === name);
  }

  /** Removes a person from the hub, after the server, whose end may take longer than the hub waits. */
  async removePerson(name: string): Promise<void> {
    await this.stopServer(name);
    await this.#request("DELETE", `/hub/api/users/${name}`);
  }

  async #serverOf(name: string): Promise<HubUser["servers"][string]> {
    return (await this.#request<HubUser>("GET", `/hub/api/users/${name}`)).servers[""];
  }

  /** Starts a kernel in a person's server. */
  async startKernel(name: string, kernel: KernelName): Promise<HubKernel> {
    const path = `/user/${name}/api/kernels`;
    const { id } = await this.#request<RunningKernel>("POST", path, { name: kernel });
    return await this.#connect(name, kernel, id);
  }

  /** Connects to the first kernel of a language that runs in a person's server, or starts one. */
  async findKernel(name: string, kernel: KernelName): Promise<HubKernel> {
    await this.startServer(name);
    const running = await this.#request<RunningKernel[]>("GET", `/user/${name}/api/kernels`);
    const found = running.find((one) => one.name === kernel);
    return found === undefined
      ? await this.startKernel(name, kernel)
      : await this.#connect(name, kernel, found.id);
  }

  async #connect(name: string, kernel: KernelName, id: string): Promise<HubKernel> {
    const origin = this.#origin.replace("http", "ws");
    const channels = `${origin}/user/${name}/api/kernels/${id}/channels`;
    return await HubKernel.connect(kernel, channels, this.#headers);
  }

  async #request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#origin}${path}`, {
      method,
      headers: this.#headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return text === "" ? undefined as T : JSON.parse(text);
    throw new Error(`Cannot ask the hub: ${method} ${path} gave ${response.status}: ${text}`);
  }
}

/** Looks again until something is so, and gives what was found. */
export async function until<T>(what: string, look: () => Promise<T | false | undefined>) {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`Cannot wait longer for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The name of a kernel's specification. */
export type KernelName = "deno" | "python3";

interface RunningKernel {
  id: string;
  name: string;
}

/** A person as the hub's API tells of one. */
interface HubUser {
  servers: Record<string, { ready: boolean; pending: string | null } | undefined>;
}
