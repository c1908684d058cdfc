/** The server of a person on a JupyterHub, from which this process descends. */
export interface HubServer {
  /** Its variables, as the hub has set them. */
  readonly env: Readonly<Record<string, string>>;
  /** The Python environment that it runs in. */
  readonly prefix: string | undefined;
}

/** Ancestors of a terminal: the shell, perhaps a multiplexer, the server. */
const MOST = 20;

/**
 * Finds the server among the ancestors of this process: the oldest one with the hub's variables.
 * `undefined` where the system or Deno does not tell.
 */
export function hubServer(): HubServer | undefined {
  if (Deno.build.os !== "linux") return undefined;
  let found: HubServer | undefined;
  let pid: number | undefined = Deno.ppid;
  for (let count = 0; pid !== undefined && pid > 0 && count < MOST; count++) {
    const env = environmentOf(pid);
    if (env?.JUPYTERHUB_USER !== undefined) found = { env, prefix: prefixOf(pid) };
    else if (found !== undefined) return found;
    pid = parentOf(pid);
  }
  return found;
}

function environmentOf(pid: number): Record<string, string> | undefined {
  const text = read(`/proc/${pid}/environ`);
  if (text === undefined) return undefined;
  const pairs = text.split("\0").map((pair) => /^([^=]+)=(.*)$/s.exec(pair));
  return Object.fromEntries(pairs.flatMap((pair) => pair === null ? [] : [[pair[1], pair[2]]]));
}

function parentOf(pid: number): number | undefined {
  const [, parent] = /^PPid:\s+(\d+)$/m.exec(read(`/proc/${pid}/status`) ?? "") ?? [];
  return parent === undefined ? undefined : Number(parent);
}

/** Of `VENV/bin/python3 VENV/bin/jupyterhub-singleuser`, `VENV`. */
function prefixOf(pid: number): string | undefined {
  const words = (read(`/proc/${pid}/cmdline`) ?? "").split("\0").slice(0, 2);
  return words.map((word) => /^(\/.+)\/bin\/[^/]+$/.exec(word)?.[1]).find((one) =>
    one !== undefined
  );
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined; // it has ended, is another user's, or Deno does not permit it
  }
}
