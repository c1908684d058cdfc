import { mustRun } from "../deno_process.ts";

/** Hosts made of network namespaces, each with an interface to this one. */
export interface NetworkNamespaces extends AsyncDisposable {
  /** This host's address, as all of them see it. */
  readonly address: string;
  /** What has to stand before a command that runs in the first, the second, … */
  readonly prefixes: string[][];
}

/** From the addresses that are for such trials (RFC 2544). */
const NETWORK = "198.18";

/**
 * Makes network namespaces that reach this host and nothing else.
 *
 * @throws {Error} If it may not: it needs Linux, iproute2 and the superuser.
 */
export async function startNamespaces(count: number): Promise<NetworkNamespaces> {
  const id = crypto.randomUUID().slice(0, 6);
  const names = Array.from({ length: count }, (_, index) => `vm${id}${index}`);
  const made: string[] = [];
  const dispose = async (): Promise<void> => {
    // Its interfaces go with a namespace.
    for (const name of made) await ip("netns", "delete", name);
  };
  const third = 1 + crypto.getRandomValues(new Uint8Array(1))[0]! % 250;
  const address = `${NETWORK}.${third}.1`;
  try {
    for (const [index, name] of names.entries()) {
      await ip("netns", "add", name);
      made.push(name);
      await connect(name, index, `${NETWORK}.${third}`, address);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    address,
    prefixes: names.map((name) => ["ip", "netns", "exec", name]),
    [Symbol.asyncDispose]: dispose,
  };
}

/** One pair of interfaces: `<name>a` here, `<name>b` there. All of them here have one address. */
async function connect(name: string, index: number, network: string, here: string): Promise<void> {
  const [outer, inner, there] = [`${name}a`, `${name}b`, `${network}.${index + 2}`];
  await ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name);
  await ip("address", "add", here, "peer", there, "dev", outer);
  await ip("link", "set", outer, "up");
  await ip("-n", name, "address", "add", there, "peer", here, "dev", inner);
  await ip("-n", name, "link", "set", inner, "up");
  await ip("-n", name, "link", "set", "lo", "up");
}

async function ip(...args: string[]): Promise<void> {
  await mustRun(["ip", ...args]);
}
