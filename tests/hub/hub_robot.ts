import { HubKernel } from "./hub_kernel.ts";

/** Longer than a person's server takes to start on a busy machine. */
export const START_MS = 240_000;
const POLL_MS = 100;

/** A service of the hub that acts for everybody, by the hub's own API. */
export class HubRobot {
  readonly #origin: string;
  readonly #headers: Record<string, string>;

  constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#headers = { Authorization: `token ${token}` };
  }

  /** Starts a person's server, and waits until it answers. */
  async startServer(name: string): Promise<void> {
    await this.#request("POST", `/hub/api/users/${name}/server`);
    await this.#until(`the server of ${name}`, async () => {
      const { servers } = await this.#request<HubUser>("GET", `/hub/api/users/${name}`);
      return servers[""]?.ready === true;
    });
  }

  /** Stops a person's server, and waits until it has ended. */
  async stopServer(name: string): Promise<void> {
    await this.#request("DELETE", `/hub/api/users/${name}/server`);
    await this.#until(`the end of the server of ${name}`, async () => {
      const { servers } = await this.#request<HubUser>("GET", `/hub/api/users/${name}`);
      return servers[""] === undefined;
    });
  }

  /** Starts a kernel in a person's server. */
  async startKernel(name: string, kernel: "deno" | "python3"): Promise<HubKernel> {
    const path = `/user/${name}/api/kernels`;
    const { id } = await this.#request<{ id: string }>("POST", path, { name: kernel });
    const channels = `${this.#origin.replace("http", "ws")}${path}/${id}/channels`;
    return await HubKernel.connect(kernel, channels, this.#headers);
  }

  /** The processes, kernels and files of a person, by the API of the person's server. */
  async ofServer<T>(name: string, path: string): Promise<T> {
    return await this.#request<T>("GET", `/user/${name}/api/${path}`);
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

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (!await isSo()) {
      if (performance.now() > deadline) throw new Error(`Cannot wait longer for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** A person as the hub's API tells of one. */
interface HubUser {
  servers: Record<string, { ready: boolean } | undefined>;
}
