import type { MatrixProvider, ProviderKind } from "./provider.ts";
import { BROWSER_ROWS } from "./rows/browser.ts";
import { CLIENT_ROWS } from "./rows/client.ts";
import { CLOCK_ROWS } from "./rows/clock.ts";
import { DPOP_ROWS } from "./rows/dpop.ts";
import { REFRESH_ROWS } from "./rows/refresh.ts";
import { SETTING_ROWS } from "./rows/setting.ts";
import { SIGN_IN_ROWS } from "./rows/sign_in.ts";

/** Runs one row, and throws where it does not hold. */
export type Row = (kind: ProviderKind, provider: MatrixProvider) => Promise<void>;

/** All rows, by what they are about. */
export const ROWS = {
  ...SIGN_IN_ROWS,
  ...SETTING_ROWS,
  ...REFRESH_ROWS,
  ...CLIENT_ROWS,
  ...BROWSER_ROWS,
  ...DPOP_ROWS,
  ...CLOCK_ROWS,
};

/** Names a row; {@linkcode ProviderKind.cannot} does it so. */
export type RowName = keyof typeof ROWS;
