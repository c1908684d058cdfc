import { liveTests } from "../../../support/servers/live_tests.ts";
import type { MatrixProvider, ProviderKind } from "./provider.ts";
import { type Row, type RowName, ROWS } from "./rows.ts";

/**
 * Registers a test for each row that a kind of provider can run; the others are ignored, with the
 * reason.
 *
 * @param own Rows of this kind alone.
 */
export async function runMatrix<P extends MatrixProvider>(
  kind: ProviderKind<P>,
  own: Readonly<Record<string, Row<P>>>,
): Promise<void> {
  const live = await liveTests(...kind.needs);
  const server = await live.shared(() => kind.start());
  for (const [row, run] of Object.entries<Row<P>>({ ...ROWS, ...own })) {
    const name = `${kind.name}: ${row}`;
    const reason = kind.cannot[row as RowName];
    if (reason !== undefined) {
      Deno.test({ name: `${name} (${reason})`, ignore: true, fn() {} });
      continue;
    }
    // The tests share the server, whose output is read all the time.
    live.test(name, { sanitizeOps: false }, async () => {
      await using provider = await server.provider();
      await run(provider);
    });
  }
  live.afterAll(async () => await server[Symbol.asyncDispose]());
}
