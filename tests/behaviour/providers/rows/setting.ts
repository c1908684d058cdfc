import { assert } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { isTold } from "../faults.ts";
import type { Fault } from "../told.ts";
import type { MatrixProvider, ProviderKind } from "../provider.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

/** What a person sets up is wrong. */
export const SETTING_ROWS = {
  "issuer with a wrong path": (kind, provider) =>
    isToldWith(kind, provider, "The issuer's path is wrong", {
      issuer: `${provider.issuer}/nowhere`,
    }),

  "issuer with https for http": (kind, provider) =>
    isToldWith(kind, provider, "The issuer is given with https: and speaks http:", {
      issuer: provider.issuer.replace("http:", "https:"),
    }),

  async "issuer with the address of its document"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    const issuer = `${provider.issuer}/.well-known/openid-configuration`;
    await using session = await createSession({ ...world.options, issuer });
    assert(await provider.isActive(await session.accessToken()));
  },
} satisfies Record<string, Row>;

async function isToldWith(
  kind: ProviderKind,
  provider: MatrixProvider,
  fault: Fault,
  wrong: SessionOptions,
): Promise<void> {
  await using world = await MatrixWorld.make(kind, provider);
  await isTold(world, fault, () => createSession({ ...world.options, ...wrong }));
}
