import type { MatrixProvider, ProviderKind } from "./provider.ts";
import { SIGN_IN_ROWS } from "./rows/sign_in.ts";

/** What a row says of every provider; {@linkcode ProviderKind.cannot} names rows by it. */
export type RowName =
  | "device flow"
  | "device flow denied";

/** Runs one row, and throws where it does not hold. */
export type Row = (kind: ProviderKind, provider: MatrixProvider) => Promise<void>;

/** All rows. */
export const ROWS: Record<RowName, Row> = { ...SIGN_IN_ROWS };
