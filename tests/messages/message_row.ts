import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../../client/errors.ts";
import type { ProcessResult } from "../support/deno_process.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";

/** A message as a person gets it. */
export interface Heard {
  readonly code: string;
  readonly message: string;
  /** What the page shows in place of texts that differ from run to run. */
  readonly names?: Readonly<Record<string, string>>;
}

/** One row of a table: how the message comes about. */
export interface MessageRow {
  /** The fault or the mistake. */
  readonly what: string;
  /** The provider or the store; or the program of the person. */
  readonly where: string;
  /** @param then Is called while the place of the fault still stands. */
  hear(then?: Afterwards): Promise<Heard>;
}

/** What is done with a message where it was heard: `shell` runs a line there. */
export type Afterwards = (
  heard: Heard,
  shell: (line: string) => Promise<ProcessResult>,
) => Promise<void>;

/** One row as the page has it. */
export interface WrittenRow extends Heard {
  readonly what: string;
  readonly where: string;
}

/** The message of the error that `run` has to end with. */
export async function heardFrom(
  run: () => unknown,
  names: Readonly<Record<string, string>> = {},
): Promise<Heard> {
  try {
    await run();
  } catch (error) {
    const isOwn = error instanceof ValidMindAuthError || error instanceof CredentialsBackendError;
    if (!isOwn) throw error;
    assertNoSecret(error);
    return { code: error.code, message: error.message, names };
  }
  throw new Error("there was no error");
}

/** Hears the rows, a few at a time. */
export async function hearRows(
  rows: readonly MessageRow[],
  atOnce: number,
  then?: Afterwards,
): Promise<WrittenRow[]> {
  const heard: WrittenRow[] = [];
  const waiting = rows.entries();
  const work = async () => {
    for (const [index, row] of waiting) heard[index] = await hearRow(row, then);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return heard;
}

async function hearRow(
  { what, where, hear }: MessageRow,
  then?: Afterwards,
): Promise<WrittenRow> {
  try {
    const { code, message, names = {} } = await hear(then);
    return { what, where, code, message: normalized(message, names) };
  } catch (error) {
    throw new Error(`Cannot make the row "${what}" (${where})`, { cause: error });
  }
}

/** The message without ports, temporary folders and identities of one run. */
function normalized(message: string, names: Readonly<Record<string, string>>): string {
  const longestFirst = Object.entries(names).sort(([a], [b]) => b.length - a.length);
  const text = longestFirst.reduce((text, [from, to]) => text.replaceAll(from, to), message)
    .replace(/\b(127\.0\.0\.1|localhost|\[::1\]):\d{4,5}\b/g, "$1:PORT")
    .replace(/\bprocess \d+\b/g, "process PID")
    .replace(/\.[\da-f]{8}\.lock\b/g, ".KEY.lock")
    // The same flags as a set for deno.json.
    .replace(/\{\n {2}"permissions": .*?\n\}/s, "{ … }");
  const [rest] = /\/tmp\/|validmind-auth-[\da-f]{6}/.exec(text) ?? [];
  if (rest !== undefined) throw new Error(`a temporary path is left: ${text}`);
  return text.trimEnd();
}

/** Names for the origins and hosts of a provider and an API that run for a test. */
export function originNames(issuer: string, apiHost?: string): Record<string, string> {
  const named = { [issuer]: "https://login.example.com" };
  const pairs = [[issuer, "login.example.com"], [apiHost, "api.example.com"]] as const;
  for (const [url, host] of pairs) {
    if (url === undefined) continue;
    const { origin, host: from } = new URL(url);
    Object.assign(named, { [origin]: `https://${host}`, [from]: `${host}:443` });
  }
  return named;
}
