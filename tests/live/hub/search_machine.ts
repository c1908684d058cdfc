import { assert } from "@std/assert";
import { walk } from "@std/fs";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import type { HubWorld } from "./hub_world.ts";
import { processes } from "./unix_users.ts";

/** A kernel's connection, a database, the hub's log and a process: each has to be among what is searched. */
const KINDS = [/\/kernel-[^/]+\.json$/, /\.sqlite$/, /\/hub\.log$/, /\/cmdline$/];

/**
 * Fails where a piece of a token that the provider has issued, other than claims, is in a file of a person or of the hub, in
 * the log, or in the arguments or the environment of a process of theirs.
 *
 * @param except The stores themselves: files and folders in which tokens have to be.
 */
export async function searchForSecrets(
  { folder: { path, venv }, users }: Pick<HubWorld, "folder" | "users">,
  { except = [] as string[] } = {},
): Promise<void> {
  const searched: string[] = [];
  for await (const file of walk(path, { includeDirs: false, includeSymlinks: false })) {
    if ([venv, `${path}/bin`, ...except].some((place) => isIn(file.path, place))) continue;
    if (await search(file.path)) searched.push(file.path);
  }
  const isTheirs = (uid: number) => users.some((user) => user.uid === uid);
  for (const { pid, uid, line } of await processes()) {
    if (!isTheirs(uid) && !line.includes(`${path}/`)) continue; // such as the hub and its proxy
    await search(`/proc/${pid}/environ`);
    if (await search(`/proc/${pid}/cmdline`)) searched.push(`/proc/${pid}/cmdline`);
  }
  for (const kind of KINDS) assert(searched.some((file) => kind.test(file)), `no ${kind}`);
}

function isIn(file: string, place: string): boolean {
  return file === place || file.startsWith(`${place}/`);
}

/** Whether the file was there to be searched. */
async function search(file: string): Promise<boolean> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(file);
  } catch {
    return false; // a process that has ended, or a file of one
  }
  try {
    // Source maps and cookies are JSON in base64, as a JWT's claims are, and share pieces with them.
    assertNoSecret(new TextDecoder("latin1").decode(bytes), [], { claims: false });
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : error}`);
  }
  return true;
}
