import { ROOMS } from "../support/rooms.ts";

/** The first room of each line, with the content. A line goes on to the next first room. */
const ROWS: readonly [first: string, holds: string][] = [
  ["backends/oidc_credentials_backend.ts", "the protocol of a store"],
  ["backends/common/error_class.ts", "the error of a store"],
  ["backends/common/", "code that several stores, or a store and the client, share"],
  ["backends/memory.ts", "the stores, each a file with its folder"],
  ["backends/testing/", "the kit for authors of stores"],
  ["backends/is_expired.ts", "an entry's end; moving entries"],
  ["backends/load/", "the store that a setting names"],
  ["client/errors.ts", "public types and errors; a stored entry"],
  ["client/options/", "the declaration of the options, its places and checks"],
  ["client/permissions/", "the Deno permissions that a call needs"],
  ["client/prompt/", "showing a person a page, a code and the end of a sign-in"],
  ["client/provider/", "the only room that speaks OAuth; one file a grant"],
  ["client/sign_in/", "one file for each flow with a person"],
  ["client/api/", "requests that carry the token"],
  ["client/tokens/", "keeping one credential fresh"],
  ["client/signed_in/", "the session that `init()` gives, and signing out"],
  ["client/create_session.ts", "the public calls"],
  ["client/cli/", "the command line; one file a command"],
];

/** The rooms in their order, for .github/CONTRIBUTING.md. */
export function roomList(): string {
  const starts = ROWS.map(([first]) => ROOMS.indexOf(first));
  return ROWS.map(([first, holds], index) => {
    const from = starts[index]!;
    if (from < 0) throw new Error(`${first} is not a room`);
    return `- ${shown(ROOMS.slice(from, starts[index + 1]))}: ${holds}`;
  }).join("\n");
}

/** Rooms without the folder of the first one; a public file stands for its folder, too. */
function shown(rooms: readonly string[]): string {
  const names = rooms.filter((room) =>
    !rooms.includes(room.replace(/\/$/, ".ts")) || room.endsWith(".ts")
  );
  const [folder = ""] = /^\w+\//.exec(names[0]!) ?? [];
  return names.map((room, index) => `\`${index === 0 ? room : room.replace(folder, "")}\``).join(
    ", ",
  );
}
