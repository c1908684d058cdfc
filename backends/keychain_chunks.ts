/**
 * A value as it is kept: in one piece, or, where it is longer than the keychain takes, in chunks whose
 * number and digest the head names.
 */
export interface ChunkedValue {
  /** What stands under the account itself, and is written last. */
  head: string;
  /** What stands under the accounts of the chunks. */
  chunks: string[];
  /** The name of this set of chunks, unlike that of any other. */
  generation?: string;
}

/** What a head says of its chunks. */
export interface ChunkedHead {
  generation: string;
  count: number;
  digest: string;
}

const HEAD = /^validmind-auth chunks v1 ([\da-f]{12}) (\d{1,4}) ([\da-f]{64})$/;

/** Cuts `text`, which is ASCII, if it is longer than `limit`. */
export async function chunkValue(text: string, limit: number): Promise<ChunkedValue> {
  if (text.length <= limit) return { head: text, chunks: [] };
  const generation = crypto.getRandomValues(new Uint8Array(6)).toHex();
  const chunks = Array.from(
    { length: Math.ceil(text.length / limit) },
    (_, index) => text.slice(index * limit, (index + 1) * limit),
  );
  const digest = await digestOf(text);
  return {
    head: `validmind-auth chunks v1 ${generation} ${chunks.length} ${digest}`,
    chunks,
    generation,
  };
}

/** What a head says of its chunks; `undefined` where it is the value itself. */
export function parseHead(head: string): ChunkedHead | undefined {
  const [, generation, count, digest] = HEAD.exec(head) ?? [];
  return generation === undefined
    ? undefined
    : { generation, count: Number(count), digest: digest! };
}

/** The value of which these are the chunks; `undefined` where one is missing or another one's. */
export async function joinChunks(
  { count, digest }: ChunkedHead,
  chunks: readonly (string | undefined)[],
): Promise<string | undefined> {
  if (chunks.length !== count || chunks.includes(undefined)) return undefined;
  const text = chunks.join("");
  return await digestOf(text) === digest ? text : undefined;
}

async function digestOf(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
