import { sha256Hex } from "./sha256_hex.ts";

/** One request as a stand-in server saw it, with every secret replaced by its SHA-256 hex. */
export interface RecordedRequest {
  readonly method: string;
  /** Path as the client sent it, without the query. */
  readonly path: string;
  readonly query: Record<string, string>;
  /** `authorization` keeps its scheme: `Bearer <sha256 of the token>`. */
  readonly headers: Record<string, string>;
  /** The `grant_type` of a token request. */
  grantType?: string;
  /** Fields of a form body. */
  form: Record<string, string>;
  /** Body text, only where the server records it. */
  body?: string;
  /** Status of the answer; 0 until it is known, or where none was given. */
  status: number;
}

const SECRET_FIELDS = new Set([
  "access_token",
  "assertion",
  "client_assertion",
  "client_secret",
  "code",
  "code_verifier",
  "device_code",
  "id_token",
  "password",
  "refresh_token",
  "token",
]);
const SECRET_HEADERS = new Set(["cookie", "x-api-key", "x-api-secret"]);

/** What a stand-in server was asked, in order of arrival. */
export class RequestLog {
  /** The same array for the log's whole life; {@linkcode reset} empties it. */
  readonly entries: RecordedRequest[] = [];

  /** Adds a request whose answer is not known yet. */
  async start(method: string, url: URL, headers: Headers): Promise<RecordedRequest> {
    const entry: RecordedRequest = {
      method,
      path: url.pathname,
      query: {},
      headers: {},
      form: {},
      status: 0,
    };
    this.entries.push(entry);
    Object.assign(entry.query, await maskFields(url.searchParams));
    Object.assign(entry.headers, await maskHeaders(headers));
    return entry;
  }

  /** Fills in the form fields of a request. */
  async setForm(entry: RecordedRequest, form: Iterable<[string, string]>): Promise<void> {
    entry.form = await maskFields(form);
    if (entry.form.grant_type !== undefined) entry.grantType = entry.form.grant_type;
  }

  /** Forgets everything so far. */
  reset(): void {
    this.entries.length = 0;
  }
}

/** Resolves when a server has answered a request that matches. */
export async function answered(
  requests: readonly RecordedRequest[],
  isIt: (request: RecordedRequest) => boolean,
): Promise<void> {
  while (!requests.some((request) => request.status !== 0 && isIt(request))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The paths that a server was asked for. */
export function paths(requests: readonly { path: string }[]): string[] {
  return requests.map(({ path }) => path);
}

async function maskFields(fields: Iterable<[string, string]>): Promise<Record<string, string>> {
  const masked: Record<string, string> = {};
  for (const [name, value] of fields) {
    masked[name] = SECRET_FIELDS.has(name) ? await sha256Hex(value) : value;
  }
  return masked;
}

async function maskHeaders(headers: Headers): Promise<Record<string, string>> {
  const masked: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name === "authorization") masked[name] = await maskAuthorization(value);
    else masked[name] = SECRET_HEADERS.has(name) ? await sha256Hex(value) : value;
  }
  return masked;
}

async function maskAuthorization(value: string): Promise<string> {
  const space = value.indexOf(" ");
  const scheme = value.slice(0, space + 1);
  return scheme + await sha256Hex(value.slice(space + 1));
}
