import { type Generated, generated, table } from "../../../pages/generated_part.ts";
import { KEYCLOAK } from "./keycloak.ts";
import { type RowName, ROWS } from "./rows.ts";
import { SPRING } from "./spring.ts";

/** The kinds of provider that the matrix runs against. */
export const KINDS = [KEYCLOAK, SPRING];

/** What the tests run against each provider, for client/providers.md. */
export function providersRun(): Generated {
  const head = ["row", ...KINDS.map(({ name, version }) => `${name} ${version}`)];
  const rows = Object.keys(ROWS).map((row) => [
    row,
    ...KINDS.map(({ cannot }) => {
      const reason = cannot[row as RowName];
      return reason === undefined ? "run" : `left out: ${reason}`;
    }),
  ]);
  return generated(
    "<!-- providers that were run: written by `deno task readme` -->",
    table(head, rows),
    "<!-- end of the providers that were run -->",
  );
}
