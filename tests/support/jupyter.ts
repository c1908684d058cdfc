import { fromFileUrl } from "@std/path";
import { linesOf } from "./lines_of.ts";
import { DENO, mustRun, spawnProcess, succeeds } from "./deno_process.ts";

const RUNNER = fromFileUrl(new URL("./run_notebook.py", import.meta.url));

const LIMIT_MS = 300_000;

/** A Python that has Jupyter: Debian's own first, since another one on PATH may have none. */
const PYTHON = await findPython();

async function findPython(): Promise<string | undefined> {
  const code = "import jupyter_client, nbconvert";
  for (const python of ["/usr/bin/python3", "python3"]) {
    if (await succeeds([python, "-c", code])) return python;
  }
  return undefined;
}

/** Whether notebooks can be run here. */
export const hasJupyter: boolean = PYTHON !== undefined;

/** A notebook as nbformat 4 has it, as far as the tests look at it. */
export interface Notebook {
  cells: {
    cell_type: "code" | "markdown";
    source: string[] | string;
    execution_count?: number | null;
    outputs?: { output_type: string; data?: Record<string, string | string[]> }[];
  }[];
}

/** A notebook of code cells. */
export function codeCells(...sources: string[]) {
  const metadata = { kernelspec: { name: "deno", display_name: "Deno", language: "typescript" } };
  const cells = sources.map((source, index) => ({
    cell_type: "code" as const,
    id: `cell-${index}`,
    source,
    metadata: {},
    outputs: [],
    execution_count: null,
  }));
  return { nbformat: 4, nbformat_minor: 5, metadata, cells };
}

/** A message of the kernel on a cell; `ended` after the last one, `dead` for a kernel that is gone. */
export interface KernelMessage {
  cell: number;
  type: string;
  content: {
    data?: Record<string, string>;
    transient?: { display_id?: string };
    [field: string]: unknown;
  };
}

/** Where a kernel runs: a home of its own, with the kernel installed in it. */
export interface KernelHome {
  path: string;
  env: Record<string, string>;
}

/** Installs the Deno kernel into a home. */
export async function installKernel(
  path: string,
  env: Record<string, string>,
): Promise<KernelHome> {
  const all = {
    PATH: Deno.env.get("PATH") ?? "",
    HOME: path,
    // Jupyter's defaults are below HOME; another one in the caller's environment would win.
    JUPYTER_DATA_DIR: `${path}/.local/share/jupyter`,
    JUPYTER_RUNTIME_DIR: `${path}/runtime`,
    IPYTHONDIR: `${path}/ipython`,
    ...env,
  };
  const options = { cwd: path, env: all, timeoutMs: LIMIT_MS };
  await mustRun([DENO, "jupyter", "--install", "--force"], options);
  return { path, env: all };
}

/** Renders a notebook file of a home with a theme of Jupyter's, as HTML beside it. */
export async function toHtml(home: KernelHome, name: string, theme: string): Promise<void> {
  const args = ["-m", "nbconvert", "--to", "html", `--HTMLExporter.theme=${theme}`];
  const options = { cwd: home.path, env: home.env, timeoutMs: LIMIT_MS };
  await mustRun([PYTHON!, ...args, `${name}.ipynb`], options);
}

/** Runs the cells of a notebook file in a kernel, without a front end. */
export function runNotebook(home: KernelHome, file: string) {
  const child = spawnProcess([PYTHON!, RUNNER, file], {
    cwd: home.path,
    env: home.env,
    stdin: "piped",
    stderr: "null",
  });
  const writer = child.stdin.getWriter();
  const messages: KernelMessage[] = [];
  let changed = Promise.withResolvers<void>();
  let isOver = false;
  const reading = (async () => {
    for await (const line of linesOf(child.stdout)) {
      messages.push(JSON.parse(line));
      changed.resolve();
      changed = Promise.withResolvers();
    }
    isOver = true;
    changed.resolve();
  })();
  return {
    /** The messages so far. */
    messages,
    /** The first message, come or still to come, that is wanted; an error when none is. */
    async waitFor(wanted: (message: KernelMessage) => boolean): Promise<KernelMessage> {
      for (;;) {
        const found = messages.find(wanted);
        if (found !== undefined) return found;
        if (isOver) throw new Error(`the kernel ended: ${JSON.stringify(messages.slice(-3))}`);
        await changed.promise;
      }
    },
    /** Presses the button that interrupts the kernel. */
    interrupt: () => writer.write(new TextEncoder().encode("interrupt\n")),
    async [Symbol.asyncDispose]() {
      await writer.close().catch(() => undefined); // which ends the kernel, too
      await reading;
      await child.status;
    },
  };
}
