import { assert } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { runMatrix } from "./matrix.ts";
import { row } from "./rows.ts";
import { ZITADEL } from "./zitadel.ts";

await runMatrix(ZITADEL, {
  "client unknown, by status 500": row({ clientId: "nobody" }, async ({ options }) => {
    const start = () => createSession(options);
    await rejectsWith("provider_unavailable", start, "client not found", "Check clientId");
  }),

  "client with its key, and with another kid": row("key", async (world) => {
    const { clientKey } = world.client;
    const withKey = async (key: object) => ({
      ...world.options,
      clientKeyFile: await world.write(JSON.stringify(key)),
    });
    const wrong = await withKey({ ...clientKey, kid: "another" });
    await rejectsWith("provider_refused", () => createSession(wrong), "the same kid");
    await using session = await createSession(await withKey(clientKey!));
    const token = await session.accessToken({ forceRefresh: true });
    assert(await world.provider.isActive(token));
  }),
});
