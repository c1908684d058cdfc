/** One request as a stand-in server saw it. */
export interface RecordedRequest {
  readonly method: string;
  /** Path as the client sent it, without the query. */
  readonly path: string;
  readonly query: Record<string, string>;
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

/** What a stand-in server was asked, in order of arrival. */
export class RequestLog {
  /** The same array for the log's whole life; {@linkcode reset} empties it. */
  readonly entries: RecordedRequest[] = [];

  /** Adds a request whose answer is not known yet. */
  start(method: string, { pathname, searchParams }: URL, headers: Headers): RecordedRequest {
    const entry = {
      method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: Object.fromEntries(headers),
      form: {},
      status: 0,
    };
    this.entries.push(entry);
    return entry;
  }

  /** Fills in the form fields of a request. */
  setForm(entry: RecordedRequest, form: Iterable<[string, string]>): void {
    entry.form = Object.fromEntries(form);
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
