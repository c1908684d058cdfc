import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { runCli } from "../../../client/cli.ts";
import { createSession, credentialKey, FileCredentialsBackend } from "@validmind/auth";
import { type OidcProviderOptions, startOidcProvider } from "../../support/oidc_provider.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { GAP, OwnStreams } from "../../support/own_streams.ts";
import { type ProcessResult, runDeno } from "../../support/deno_process.ts";
import { wordsIn } from "../../support/permission_flags.ts";
import { tempDir } from "../../support/temp_home.ts";

/** The command line's entry. */
export const CLI: string = fromFileUrl(new URL("../../../client/cli.ts", import.meta.url));

/** How a command of a {@linkcode CliWorld} runs. */
interface CliRunOptions {
  /** Flags of Deno for a process of its own. Without them the command runs in this process. */
  flags?: readonly string[];
  env?: Record<string, string>;
  stdin?: string;
}

export type Word = string | RegExp;

/** A person with an empty home, a provider, and the variables that lead to it. */
export type CliWorld = Awaited<ReturnType<typeof cliWorld>>;

/** A world whose provider approves each sign-in at once. */
export async function cliWorld(options: OidcProviderOptions = {}) {
  await using stack = new AsyncDisposableStack();
  stack.use(new OwnEnv());
  const provider = stack.use(await startOidcProvider({ interval: 0.05, ...options }));
  provider.autoApprove = true;
  const { path: home } = stack.use(await tempDir());
  const { issuer, clientId } = provider;
  const env: Record<string, string> = {
    HOME: home,
    VM_OIDC_ISSUER: issuer,
    VM_OIDC_CLIENT_ID: clientId,
  };
  const folder = join(home, ".validmind");
  const backend = new FileCredentialsBackend({ path: join(folder, "credentials.json") });
  const key = credentialKey(issuer, clientId);
  const stored = () => {
    const entry = backend.get(key);
    if (entry === undefined) throw new Error("Nothing is stored");
    return entry;
  };
  const run = async (args: readonly string[], options: CliRunOptions = {}) => {
    const { flags, env: more, ...rest } = options;
    const all = { ...env, ...more };
    if (flags === undefined) return await runHere(inFolder(args, home), all, rest.stdin);
    return await runDeno({ file: CLI, flags, args: [...args], env: all, cwd: home, ...rest });
  };
  const settingsPath = join(home, ".config", "validmind-auth", "settings.json");
  const started = stack.move();
  return {
    provider,
    home,
    env,
    /** The usual place of the settings file in this home. */
    settingsPath,
    /** The folder of the shared file of this home. */
    folder,
    /** The shared file. */
    backend,
    key,
    /** What is stored; an error when there is nothing. */
    stored,
    /** Runs a command as in a shell without a terminal. */
    run,
    /**
     * Runs a line of a shell, with variables before the command, and looks for its exit code and for words
     * in both of its streams. A word after "!" must not be there.
     */
    says: async (line: string, code: number, ...more: (Word | CliRunOptions)[]) => {
      const isWord = (one: Word | CliRunOptions) =>
        typeof one === "string" || one instanceof RegExp;
      const options = more.find((one) => !isWord(one)) as CliRunOptions | undefined;
      const { args, variables } = parseLine(line);
      const said = await run(args, { ...options, env: { ...options?.env, ...variables } });
      const text = said.stdout + said.stderr;
      assertEquals(said.code, code, `${line}\n${text}`);
      assert(!GAP.test(text), `${line}\n${text}`);
      for (const word of more.filter(isWord) as Word[]) assertSays(text, word, line);
      return {
        ...said,
        /** Its standard output, as JSON. */
        // deno-lint-ignore no-explicit-any -- a test says what it looks at
        get json(): any {
          return JSON.parse(said.stdout);
        },
      };
    },
    /** Writes a private file in the home folder, by default the settings file, and gives its path. */
    write: async (document: unknown, name?: string) => {
      const path = name === undefined ? settingsPath : join(home, name);
      const text = typeof document === "string" ? document : JSON.stringify(document);
      await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await Deno.writeTextFile(path, text, { mode: 0o600 });
      return path;
    },
    /** Signs in, as another program of this person would. */
    signIn: async () => {
      const session = { issuer, clientId, credentialsBackend: backend, onDeviceCode: () => {} };
      await createSession(session);
      provider.reset();
      return stored();
    },
    /** Changes what is stored. */
    amend: (change: Record<string, unknown>) => backend.put(key, { ...stored(), ...change }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** A path as one word of a line for `says`. */
export const quoted = (path: string): string => `'${path.replaceAll("'", `'"'"'`)}'`;

/** The words of a line, with quotes as in a shell, after its variables. */
export function parseLine(line: string): { args: string[]; variables: Record<string, string> } {
  const args = wordsIn(line);
  const isVariable = (word: string) => /^[A-Z_]+=/.test(word);
  const command = args.findIndex((word) => !isVariable(word));
  const given = args.splice(0, command).map((word) => /^(\w+)=(.*)$/s.exec(word)!.slice(1));
  return { args, variables: Object.fromEntries(given) };
}

function assertSays(text: string, word: Word, line: string): void {
  if (typeof word !== "string") assertMatch(text, word, line);
  else if (word.startsWith("!")) assert(!text.includes(word.slice(1)), `${line}\n${text}`);
  else assertStringIncludes(text, word, line);
}

/** Arguments with the names of a folder's files as whole paths: the process has one working directory. */
function inFolder(args: readonly string[], folder: string): string[] {
  const files = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile);
  const names = new Set(files.map(({ name }) => name));
  return args.map((arg) => names.has(arg) ? join(folder, arg) : arg);
}

/** Runs a command in this process, with streams and variables of its own. */
export async function runHere(
  args: readonly string[],
  env: Record<string, string> = {},
  stdin = "",
): Promise<ProcessResult> {
  using _ = new OwnEnv(env);
  using streams = new OwnStreams({ stdin });
  const code = await runCli(args);
  return { code, ...streams.written };
}

/** Runs a command that needs no world. */
export const runMain = (...args: string[]): Promise<ProcessResult> => runHere(args);

/** A test with a world of its own. */
export function cliTest(
  name: string,
  run: (world: CliWorld) => Promise<void>,
  { options, ...more }:
    & { options?: OidcProviderOptions }
    & Partial<Pick<Deno.TestDefinition, "ignore" | "sanitizeResources">> = {},
): void {
  Deno.test(name, more, async () => {
    await using world = await cliWorld(options);
    await run(world);
  });
}

/** Variables that name no client, and those of an API key. */
export const NO_CLIENT = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
export const BY_KEY = { ...NO_CLIENT, VM_API_KEY: "k", VM_API_SECRET: "s" };

/** When a token ended long ago. */
export const ENDED = "2020-01-01T00:00:00.000Z";

/** The arguments after a program's name in a line for a shell. */
export function argumentsIn(line: string): string[] {
  const own = wordsIn(line);
  return own.slice(own[0] === "deno" ? own.indexOf("jsr:@validmind/auth/cli") + 1 : 1);
}
