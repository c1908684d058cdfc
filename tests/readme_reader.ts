import { assert, assertEquals } from "@std/assert";
import { exists } from "@std/fs";
import { DELIMITER, dirname } from "@std/path";
import { quotePosix } from "../backends/common/runtime.ts";
import { DENO, runProcess } from "./support/deno_process.ts";
import { startJsrRegistry } from "./support/jsr_registry.ts";
import { startOidcProvider, type TestOidcProvider } from "./support/oidc_provider.ts";
import { shareFolder } from "./support/share_folder.ts";
import { tempDir } from "./support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "./support/tracking_api.ts";

/** A fence of a page, with the heading that it stands under. */
export interface Fence {
  readonly heading: string;
  /** `inline` for a command in a sentence. */
  readonly language: string;
  readonly text: string;
}

/** The first line of code that a person saves. */
export const FILE_NAME = /^\/\/ (\S+\.ts)\n/;
/** A program with its arguments in a sentence. */
const INLINE = /`((?:validmind-auth|deno(?! task)|openssl|printf|vault) [^`]+)`/g;

/** The fences of a page or of a module's text, and the commands in its sentences, in its order. */
export async function pageFences(path: string): Promise<Fence[]> {
  const text = await Deno.readTextFile(new URL(`../${path}`, import.meta.url));
  const words = path.endsWith(".ts") ? text.replaceAll(/^ \* ?/gm, "") : text;
  const page = words.replace(INLINE, "\n```inline\n$1\n```\n");
  let heading = "";
  return [...page.matchAll(/^#+ ([^\n]*)$|^```(\w+)(?: ignore)?\n(.*?)^```$/gms)].flatMap(
    ([, title, language, text]) => {
      if (title !== undefined) heading = title;
      return language === undefined ? [] : [{ heading, language, text: text! }];
    },
  );
}

/** Starts a world in which a person approves each code at once. */
export async function startReadmeWorld() {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startJsrRegistry());
  const provider = stack.use(await startOidcProvider({ interval: 0.2 }));
  const api = stack.use(
    await startTrackingApi({
      accepts: (bearer) => provider.isActive(bearer),
      issuer: provider.issuer,
    }),
  );
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

/** Somebody who does what README says, with an empty home, an empty folder to work in, and Deno. */
async function newcomer(around: Surroundings) {
  const folder = await tempDir();
  const home = `${folder.path}/home`;
  const work = `${folder.path}/work`;
  const offline = `${work}/validmind/deno`;
  for (const path of [home, offline]) await Deno.mkdir(path, { recursive: true });
  await shareFolder(`${around.registry.DENO_DIR}/npm`, `${offline}/npm`); // npm is not asked
  // Deno's own installer puts the folder of `deno install` on PATH.
  const path = [around.bin, `${home}/.deno/bin`, Deno.env.get("PATH")].join(DELIMITER);
  const variables = `${folder.path}/variables`;
  const env: Record<string, string> = {
    ...{ ...around.registry, HOME: home, PATH: path, USER: "ada" },
    TMPDIR: folder.path, // an example makes a folder there, and leaves it
  };
  const reader = {
    home,
    /** The variables of the reader's shell; another value is another shell. */
    env,
    /** Types a fence into the shell, up to a command that fails. Variables that it exports stay. */
    async type(shell: string) {
      const script = `set -e\n${fillIn(shell, around, work)}\nenv -0 > ${quotePosix(variables)}`;
      const options = { cwd: work, env: reader.env, timeoutMs: 180_000 };
      const result = await runProcess(["sh", "-c", script], options);
      // `exec` leaves no shell to ask.
      if (await exists(variables)) reader.env = parseVariables(await Deno.readTextFile(variables));
      return result;
    },
    /** Saves a program in the folder to work in. */
    async save(name: string, code: string) {
      const file = `${work}/${name}`;
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeTextFile(file, fillIn(code, around, work), { mode: 0o755 });
      return file;
    },
    async [Symbol.asyncDispose]() {
      await runProcess(["chmod", "-R", "u+w", work]); // a page closes a folder
      await folder[Symbol.asyncDispose]();
    },
  };
  return reader;
}

/** A reader in its world. */
export type ReadmeReader = Awaited<ReturnType<typeof newcomer>>;

/** Examples of the pages, with the names of this world. */
function fillIn(text: string, { provider, api }: Surroundings, work: string): string {
  const { host } = new URL(api.apiHost);
  return text.replaceAll("https://login.example.com", provider.issuer)
    .replaceAll("login.example.com:443", new URL(provider.issuer).host)
    .replaceAll("my-client", provider.clientId)
    // Their types are checked with those of all examples, which takes longer than all that they do.
    .replaceAll(/deno test -A (\w+_test\.ts)/g, "deno test --no-check -A $1")
    .replaceAll(/https:\/\/api\.example\.com\/api\/v1\/(tracking\/)?/g, api.apiHost)
    .replaceAll("api.example.com:443", host)
    .replaceAll(/^\$env:(\w+) = /gm, "export $1=") // the rest of PowerShell is as in a POSIX shell
    // A word of the shell needs quotes of its own, and what stands in quotes does not.
    .replaceAll(
      /([ =])\/(?:srv|opt|run\/secrets)\//g,
      (_, before) => `${before}${quotePosix(work)}/`,
    )
    .replaceAll(/(["'])\/(?:srv|opt|run\/secrets)\//g, (_, before) => `${before}${work}/`);
}

function parseVariables(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([^=\0]+)=([^\0]*)\0/g)].map(([, name, value]) => [name, value]),
  );
}

/** Runs cells as the kernel does, one after the other in one scope, where there is no Jupyter. */
export async function runCells({ env }: ReadmeReader, cells: string[]): Promise<string> {
  const args = ["repl", "-A", "--quiet"];
  const piped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  // Not here: the lock file of this repository has the packages of JSR, and not those on loopback.
  const cwd = env.HOME!;
  const child = new Deno.Command(DENO, { args, cwd, clearEnv: true, env, ...piped }).spawn();
  await new Blob([cells.join("\n")]).stream().pipeTo(child.stdin);
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** Runs a fence as the reader would: commands, a cell, the script that later commands name, or an example. */
export async function run(reader: ReadmeReader, { heading, language, text }: Fence) {
  if (language === "json") {
    return await reader.save("../home/.config/validmind-auth/settings.json", text);
  }
  if (language !== "ts") return await follow(reader, text);
  const [, file] = FILE_NAME.exec(text) ?? [];
  if (file !== undefined) return await reader.save(file, text);
  if (heading === "Notebook") {
    const output = await runCells(reader, [text]);
    assert(!/Uncaught/.test(output), output);
    return output;
  }
  if (text.includes("Working on")) {
    await reader.save("script.ts", text);
    return "";
  }
  await reader.save("example.ts", text);
  return await follow(reader, "deno run -A example.ts");
}

/** Types a command, which has to succeed. */
async function follow(reader: ReadmeReader, text: string): Promise<string> {
  const { code, stdout, stderr } = await reader.type(text);
  assertEquals(code, 0, `${text}\n${stdout}\n${stderr}`);
  return stdout;
}
