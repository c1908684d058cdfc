import { ApiError } from "../../errors.ts";
import { preflight } from "../../permissions/preflight.ts";
import {
  CliError,
  type Command,
  EXIT,
  type FlagValues,
  print,
  usageError,
  write,
} from "../command.ts";
import { openSession, pairOf } from "../sign_in_target.ts";
import { BEARER_FLAGS } from "./token.ts";

export const api: Command = {
  name: "api",
  summary: "call the API with the token, and print its answer",
  details: [
    "PATH is relative to --api-host: give it without a leading slash. The token goes to the API's origin " +
    "only. The answer is printed unchanged. A status other than 2xx makes the exit code 1.",
    "Fields are the members of a JSON body, and make the method POST. With --method GET or --input they " +
    "go into the query. --raw-field sends a text. --field sends JSON, such as 7, true or null, and any " +
    "other value as a text. @FILE sends the text of a file.",
  ],
  args: "PATH",
  flags: [
    ...BEARER_FLAGS.filter((name) => name !== "refresh"),
    "dpop",
    "api-host",
    "method",
    "field",
    "raw-field",
    "input",
    "header",
  ],
  examples: [
    "api ping",
    "api things -f name=report -F size=7",
    "api things/7 -X PUT --input thing.json",
    "api things -X GET -f owner=ada",
  ],
  action: "call the API",
  async run(flags, [path, ...more]) {
    if (path === undefined || more.length > 0) {
      throw usageError("Cannot call the API: it takes one path. Give one, such as: api ping");
    }
    const { query, ...init } = await readRequest(flags);
    await using session = await openSession(flags, api.action, true);
    const separator = path.includes("?") ? "&" : "?";
    const response = await session.fetch(query === "" ? path : path + separator + query, init);
    await printAnswer(response);
    if (response.ok) return EXIT.ok;
    const { status, statusText } = response;
    if (status === 401 && session.issuer !== undefined) {
      await session.accessToken({ forceRefresh: true }); // an ended sign-in is an error of its own
    }
    const action = `${init.method} ${path}`;
    const reason = `the API answered ${status} ${statusText}`.trimEnd();
    throw new ApiError({ action, reason, remedy: "See its answer." }, status, "");
  },
};

async function readRequest(flags: FlagValues): Promise<RequestInit & { query: string }> {
  const all = (flag: "field" | "raw-field" | "header", separator = "=") =>
    (flags.get(flag) ?? []).map((text) => pairOf(flag, text, separator));
  const fields: [name: string, value: unknown][] = all("raw-field");
  for (const [name, value] of all("field")) fields.push([name, await typedValue(value)]);
  const input = flags.text("input");
  const hasBody = input !== undefined || fields.length > 0;
  const method = flags.text("method")?.toUpperCase() ?? (hasBody ? "POST" : "GET");
  const isQuery = input !== undefined || method === "GET";
  const inQuery = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);
  const query = isQuery ? fields.map(([name, value]) => [name, inQuery(value)]) : [];
  const body = input !== undefined
    ? await readInput(input)
    : hasBody && !isQuery
    ? JSON.stringify(Object.fromEntries(fields))
    : undefined;
  const pairs = all("header", ":");
  let headers: Headers;
  try {
    headers = new Headers(pairs);
  } catch {
    throw usageError("Cannot use --header: it is not NAME:VALUE. Give another one."); // Deno quotes it
  }
  const content = body !== undefined && { body: new Blob([body], { type: "application/json" }) };
  const init = { method, headers, ...content };
  try {
    new Request("http://localhost", init);
  } catch (error) {
    throw usageError(`Cannot use --method: ${(error as Error).message}. Give another one.`);
  }
  return { ...init, query: `${new URLSearchParams(query)}` };
}

async function typedValue(text: string): Promise<unknown> {
  if (text.startsWith("@")) return new TextDecoder().decode(await readInput(text.slice(1)));
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The bytes of a file; of standard input for a dash. */
async function readInput(path: string): Promise<Uint8Array<ArrayBuffer>> {
  if (path === "-") {
    const { readable } = Deno.stdin;
    if (readable.locked) throw usageError("Cannot read standard input twice. Give - once.");
    return await new Response(readable).bytes();
  }
  const reason = "to read the request's body";
  preflight(api.action, [{ name: "read", path, reason, need: "always" }]);
  try {
    return await Deno.readFile(path);
  } catch {
    throw usageError(
      `Cannot read ${path}: it is not a file that can be read. Check the path.`,
    );
  }
}

async function printAnswer(response: Response): Promise<void> {
  try {
    if (Deno.stdout.isTerminal()) print(`${(await response.text()).trimEnd()}\n`);
    else for await (const chunk of response.body ?? []) if (!write(chunk)) break;
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError("Cannot read the answer: the connection ended. Try again.", "output_failed");
  }
}
