import { BUILT_IN_BACKENDS } from "../../../backends/load/backend_setting.ts";
import { chooseBackend } from "../choose_backend.ts";
import { columns } from "../output.ts";
import { type Command, EXIT, printResult } from "../command.ts";
import { placeReport } from "../read_status.ts";
import { placeOf } from "../status_text.ts";

export const backends: Command = {
  name: "backends",
  summary: "list the backends, and show which is used and why",
  details: ["Opens no store. doctor checks whether the backend in use works."],
  flags: ["profile", "backend", "backend-options", "config", "json"],
  examples: ["backends", "backends --json | jq -r .selected.location"],
  action: "show the backend",
  async run(invocation) {
    await using chosen = await chooseBackend(invocation.flags, backends.action);
    const { backend, name, why } = chosen;
    const place = placeReport(backend);
    const selected = { ...place, name, class: place.name, why };
    const known = Object.entries(BUILT_IN_BACKENDS).map(([name, { summary }]) => ({
      name,
      summary,
    }));
    const rows = known.map((one) => [one.name === name ? "*" : " ", one.name, one.summary]);
    if (!known.some((one) => one.name === name)) {
      rows.push(["*", name, "a backend of another module"]);
    }
    const text = `${columns(rows)}\nUsed is ${name}, since ${why}: ${placeOf(place)}\n`;
    printResult(invocation, { selected, known }, text);
    return EXIT.ok;
  },
};
