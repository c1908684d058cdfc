import { hideQueries } from "../../../backends/common/foreign_error.ts";
import { jsonOr } from "../../../backends/common/json.ts";
import { ApiError } from "../../errors.ts";
import { preflight } from "../../permissions/preflight.ts";
import { read } from "../../permissions/start_needs.ts";
import { CliError, type CommandCall, usageError } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { print, write } from "../output.ts";
import { openByFlags, pairsOf } from "../sign_in_target.ts";

const LINE_END = 10;

export async function run({ flags, args, command }: CommandCall) {
  const [path] = args;
  if (path === undefined) {
    throw usageError("Cannot call the API: it takes one path. Give one, such as: api ping");
  }
  const { query, ...init } = await readRequest(flags, command.action);
  await using session = await openByFlags(flags, command.action, true);
  const separator = path.includes("?") ? "&" : "?";
  const response = await session.fetch(query === "" ? path : path + separator + query, init);
  await printAnswer(response);
  if (response.ok) return;
  const { status, statusText } = response;
  if (status === 401 && session.issuer !== undefined) {
    await session.accessToken({ forceRefresh: true }); // an ended sign-in is an error of its own
  }
  // Not the address of the answer: after a redirect that is the API's text, which may repeat the token.
  const action = `${init.method} ${hideQueries(path)} of ${session.apiHost}`;
  const reason = `the API answered ${status} ${statusText}`.trimEnd();
  throw new ApiError({ action, reason, remedy: "See its answer." }, status, "");
}

async function readRequest(flags: FlagValues, action: string) {
  const fields: [name: string, value: unknown][] = pairsOf(flags, "raw-field");
  for (const [name, text] of pairsOf(flags, "field")) {
    fields.push([name, await typedValue(text, action)]);
  }
  const input = flags.text("input");
  const hasBody = input !== undefined || fields.length > 0;
  const method = flags.text("method")?.toUpperCase() ?? (hasBody ? "POST" : "GET");
  const query = new URLSearchParams();
  let body: BlobPart | undefined;
  if (input !== undefined) body = await readInput(input, action);
  if (input !== undefined || method === "GET") {
    for (const [name, value] of fields) {
      query.append(name, typeof value === "string" ? value : JSON.stringify(value));
    }
  } else if (hasBody) body = JSON.stringify(Object.fromEntries(fields));
  const content = body !== undefined && { body: new Blob([body], { type: "application/json" }) };
  const init = { method, headers: readHeaders(flags), ...content };
  try {
    new Request("http://localhost", init);
  } catch (error) {
    throw usageError(`Cannot use --method: ${(error as Error).message}. Give another one.`);
  }
  return { ...init, query: `${query}` };
}

function readHeaders(flags: FlagValues) {
  const pairs = pairsOf(flags, "header", ":");
  if (pairs.some(([name]) => /^authorization$/i.test(name))) {
    throw usageError("Cannot use --header: Authorization has the session's token. Leave it out.");
  }
  try {
    return new Headers(pairs);
  } catch {
    throw usageError("Cannot use --header: it is not NAME:VALUE. Give another one."); // Deno quotes it
  }
}

async function typedValue(text: string, action: string): Promise<unknown> {
  if (text.startsWith("@")) return new TextDecoder().decode(await readInput(text.slice(1), action));
  return jsonOr(text);
}

/** The bytes of a file; of standard input for a dash. */
async function readInput(path: string, action: string) {
  const reason = "to read the request's body";
  const isInput = path === "-";
  if (!isInput) preflight(action, [read(path, reason)]);
  try {
    return isInput ? await new Response(Deno.stdin.readable).bytes() : await Deno.readFile(path);
  } catch {
    throw usageError(`Cannot read ${path}: it is not a file that can be read. Check the path.`);
  }
}

/** Prints an answer, unchanged but for a line end after JSON, and safely in a terminal. */
async function printAnswer(response: Response) {
  const isJson = response.headers.get("content-type")?.includes("json");
  let last: number | undefined;
  try {
    if (Deno.stdout.isTerminal()) return print(`${(await response.text()).trimEnd()}\n`);
    for await (const chunk of response.body ?? []) {
      if (!write(chunk)) return;
      last = chunk.at(-1) ?? last;
    }
    if (isJson && last !== LINE_END) print("\n");
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError("Cannot read the answer: the connection ended. Try again.", "output_failed");
  }
}
