import { backendName } from "../../../backends/common/describe_backend.ts";
import { BUILT_IN_NAMES, type BuiltInName } from "../../../backends/load/backend_setting.ts";
import { chooseBackend, type ChosenBackend } from "../choose_backend.ts";
import { columns } from "../columns.ts";
import { type Command, EXIT, type Invocation, printResult } from "../command.ts";
import { placeOf } from "../status_text.ts";

/** Each built-in backend in a few words. */
const SUMMARIES: Record<BuiltInName, string> = {
  file: "a file, by default the one that the ValidMind Python library also uses",
  memory: "this process only",
  kv: "Deno KV: in memory, in a database file, or on a server",
  vault: "HashiCorp Vault or OpenBao, shared by hosts",
  keychain: "the keychain of the operating system",
  encrypted: "another backend, with encryption of all that it stores",
  fallback: "the first of several backends that takes the tokens",
};

/** `backends`: the built-in backends, the one in use, and the reason. */
export const backends: Command<ChosenBackend> = {
  name: "backends",
  summary: "list the backends, and show which is used and why",
  details: ["Opens no store. doctor checks whether the backend in use works."],
  flags: ["backend", "backend-options", "json"],
  examples: ["backends", "backends --json | jq -r .selected.location"],
  action: "show the backend",
  prepare: chooseBackend,
  run: runBackends,
};

function runBackends({ backend, name, why }: ChosenBackend, invocation: Invocation): number {
  const { location, persistent } = backend;
  const selected = {
    name,
    class: backendName(backend),
    why,
    ...(typeof location === "string" && { location }),
    ...(typeof persistent === "boolean" && { persistent }),
  };
  const known = BUILT_IN_NAMES.map((one) => ({ name: one, summary: SUMMARIES[one] }));
  const rows = known.map((one) => [one.name === name ? "*" : " ", one.name, one.summary]);
  if (!known.some((one) => one.name === name)) {
    rows.push(["*", name, "a backend of another module"]);
  }
  const place = placeOf({ name: selected.class, ...(location !== undefined && { location }) });
  const text = `${columns(rows)}\nUsed is ${name}, since ${why}: ${place}\n`;
  printResult(invocation, { selected, known }, text);
  return EXIT.ok;
}
