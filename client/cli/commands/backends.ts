import { BUILT_IN_NAMES, type BuiltInName } from "../../../backends/load/backend_setting.ts";
import { backendName } from "../../../backends/common/describe_backend.ts";
import { chooseBackend } from "../choose_backend.ts";
import { columns } from "../columns.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import { placeOf } from "../status_text.ts";

/** What each built-in backend is, in a few words. */
const SUMMARIES: Record<BuiltInName, string> = {
  file: "a file, by default the one that the ValidMind Python library uses, too",
  memory: "this process only",
  kv: "Deno KV: in memory, in a database file, or on a server",
  vault: "HashiCorp Vault or OpenBao, shared by hosts",
  keychain: "the keychain of the operating system",
  encrypted: "another backend, with all that it stores encrypted",
  fallback: "the first of several backends that takes the tokens",
};

/** `backends`: which there are, which is used, and why. */
export const backends: Command = {
  name: "backends",
  summary: "list the backends, and tell which is used and why",
  details: ["Opens no store. doctor tells whether the one that is used works."],
  flags: ["backend", "backend-options", "json"],
  examples: ["backends", "backends --json | jq -r .selected.location"],
  needs: async (flags) => {
    await using chosen = await chooseBackend(flags, "name the permissions");
    return [...chosen.needs];
  },
  run: runBackends,
};

async function runBackends({ flags, output }: Invocation): Promise<number> {
  await using chosen = await chooseBackend(flags, "tell the backend");
  const { backend, name, why } = chosen;
  const { location, persistent } = backend;
  const selected = {
    name,
    class: backendName(backend),
    why,
    ...(typeof location === "string" && { location }),
    ...(typeof persistent === "boolean" && { persistent }),
  };
  const known = BUILT_IN_NAMES.map((one) => ({ name: one, summary: SUMMARIES[one] }));
  if (flags.has("json")) {
    output.print(`${JSON.stringify({ selected, known }, null, 2)}\n`);
    return EXIT.ok;
  }
  const rows = known.map((one) => [one.name === name ? "*" : " ", one.name, one.summary]);
  if (!known.some((one) => one.name === name)) {
    rows.push(["*", name, "a backend of another module"]);
  }
  const place = placeOf({ name: selected.class, ...(location !== undefined && { location }) });
  output.print(`${columns(rows)}\nUsed is ${name}, since ${why}: ${place}\n`);
  return EXIT.ok;
}
