/** The kit for authors of backends, run over the stores of this module. Live ones are in `tests/live/`. */
import { testCredentialsBackend } from "@validmind/auth/testing";
import { sandbox } from "../support/sandbox.ts";
import { storesIn } from "./stores.ts";

for (
  const [name, { open, another, broken, permissions, processes }] of Object.entries(
    storesIn(sandbox()),
  )
) {
  testCredentialsBackend(name, open, {
    disposable: true,
    ...(another && { another }),
    ...(broken && { broken }),
    ...(permissions && { permissions }),
    ...(processes && { processes }),
  });
}
