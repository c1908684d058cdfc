import { exists } from "@std/fs";
import { DELIMITER, dirname } from "@std/path";
import { DENO, type ProcessResult, runProcess } from "./support/deno_process.ts";
import { startJsrRegistry } from "./support/jsr_registry.ts";
import { startOidcProvider, type TestOidcProvider } from "./support/oidc_provider.ts";
import { tempDir } from "./support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "./support/tracking_api.ts";

/** A fence of a page, with the heading that it stands under. */
export interface Fence {
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

/** The fences of a page, in its order. */
export async function pageFences(path: URL): Promise<Fence[]> {
  const page = await Deno.readTextFile(path);
  let heading = "";
  return [...page.matchAll(/^#+ ([^\n]*)$|^```(\w+)(?: ignore)?\n(.*?)^```$/gms)].flatMap(
    ([, title, language, text]) => {
      if (title !== undefined) heading = title;
      return language === undefined ? [] : [{ heading, language, text: text! }];
    },
  );
}

/** The provider, the API and the registry that README's names stand for. */
export interface ReadmeWorld extends AsyncDisposable {
  readonly provider: TestOidcProvider;
  readonly api: TrackingApi;
  /** A reader with an empty home, an empty folder to work in, and Deno. */
  newcomer(): Promise<ReadmeReader>;
}

/** Somebody who does what README says. */
export interface ReadmeReader extends AsyncDisposable {
  readonly home: string;
  /** The variables of the reader's shell; another value is another shell. */
  env: Record<string, string>;
  /** Types a fence into the shell. Variables that it exports stay. */
  type(shell: string): Promise<ProcessResult>;
  /** Saves a program in the folder to work in. */
  save(name: string, code: string): Promise<string>;
}

/** Starts a world in which a person approves each code at once. */
export async function startReadmeWorld(): Promise<ReadmeWorld> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startJsrRegistry());
  const provider = stack.use(await startOidcProvider({ interval: 0.2 }));
  const api = stack.use(await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) }));
  const { path: bin } = stack.use(await tempDir());
  await Deno.symlink(DENO, `${bin}/deno`);
  provider.autoApprove = true;
  const started = stack.move();
  return {
    provider,
    api,
    newcomer: () => newcomer({ provider, api, bin, registry: registry.env }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

interface Surroundings {
  readonly provider: TestOidcProvider;
  readonly api: TrackingApi;
  readonly bin: string;
  readonly registry: Record<string, string>;
}

async function newcomer(around: Surroundings): Promise<ReadmeReader> {
  const folder = await tempDir();
  const home = `${folder.path}/home`;
  const work = `${folder.path}/work`;
  for (const path of [home, work]) await Deno.mkdir(path);
  // Deno's own installer puts the folder of `deno install` on PATH.
  const path = [around.bin, `${home}/.deno/bin`, Deno.env.get("PATH")].join(DELIMITER);
  const variables = `${folder.path}/variables`;
  const reader: ReadmeReader = {
    home,
    env: { ...around.registry, HOME: home, PATH: path, USER: "ada" },
    async type(shell) {
      const script = `${fillIn(shell, around, work)}\ncode=$?; env -0 > '${variables}'; exit $code`;
      const options = { cwd: work, env: reader.env, timeoutMs: 180_000 };
      const result = await runProcess(["sh", "-c", script], options);
      // `exec` leaves no shell to ask.
      if (await exists(variables)) reader.env = parseVariables(await Deno.readTextFile(variables));
      return result;
    },
    async save(name, code) {
      const file = `${work}/${name}`;
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeTextFile(file, fillIn(code, around, work), { mode: 0o755 });
      return file;
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  return reader;
}

/** Examples of the pages, with the names of this world. */
function fillIn(text: string, { provider, api }: Surroundings, work: string): string {
  const { host } = new URL(api.apiHost);
  return text.replaceAll("https://login.example.com", provider.issuer)
    .replaceAll("login.example.com:443", new URL(provider.issuer).host)
    .replaceAll("my-client", provider.clientId)
    .replaceAll(/https:\/\/api\.example\.com\/api\/v1\/(tracking\/)?/g, api.apiHost)
    .replaceAll("api.example.com:443", host)
    .replaceAll("/srv/", `${work}/`);
}

function parseVariables(text: string): Record<string, string> {
  const lines = text.split("\0").filter((line) => line !== "");
  return Object.fromEntries(lines.map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)];
  }));
}

/** Runs cells as the kernel does, one after the other in one scope, where there is no Jupyter. */
export async function runCells(
  { env }: ReadmeReader,
  cells: readonly string[],
): Promise<string> {
  const child = new Deno.Command(DENO, {
    args: ["repl", "-A", "--quiet"],
    clearEnv: true,
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(cells.join("\n")));
  await writer.close();
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}
