import { table } from "../../../pages/generated_part.ts";
import { DJANGO } from "./django.ts";
import { HYDRA } from "./hydra.ts";
import { KEYCLOAK } from "./keycloak.ts";
import { type RowName, ROWS } from "./rows.ts";
import { SPRING } from "./spring.ts";
import { ZITADEL } from "./zitadel.ts";

/** The kinds of provider that the matrix runs against. */
export const KINDS = [KEYCLOAK, SPRING, ZITADEL, HYDRA, DJANGO];

/** What the tests run against each provider, for client/providers.md. */
export function providersRun(): string {
  const head = ["case", ...KINDS.map(({ name }) => name)];
  const versions = KINDS.map(({ name, version }) => `${name} ${version}`).join(", ");
  const reasons = [...new Set(KINDS.flatMap(({ cannot }) => Object.values(cannot)))];
  const rows = Object.keys(ROWS).map((row) => [
    row,
    ...KINDS.map(({ cannot }) => {
      const reason = cannot[row as RowName];
      return reason === undefined ? "run" : `no: ${reasons.indexOf(reason) + 1}`;
    }),
  ]);
  const notes = reasons.map((reason, index) => `${index + 1}. ${reason}`);
  return [`Versions: ${versions}.`, table(head, rows), "Reasons:", notes.join("\n")].join("\n\n");
}
