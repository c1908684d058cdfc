import { assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { OP_SECRET, startOpServer } from "../../../support/servers/op_server.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { OpProvider } from "../../../behaviour/providers/op_provider.ts";
import type { ClientKind } from "../../../behaviour/providers/provider.ts";
import { MatrixWorld } from "../../../behaviour/providers/world.ts";
import { ZITADEL } from "../../../behaviour/providers/zitadel.ts";

const live = await liveTests("zitadel");
const server = await live.shared(() => startOpServer("zitadel"));
live.afterAll(async () => await server[Symbol.asyncDispose]());

/** The answers of the library's older router, which programs over it mostly have. */
const REFUSALS: [
  what: string,
  client: ClientKind,
  options: SessionOptions,
  code: "provider_refused" | "provider_unavailable",
  words: string[],
][] = [
  ["no such client: status 500", "public", { clientId: "nobody" }, "provider_unavailable", [
    "status 500 (server_error: there is no such client)",
  ]],
  ["no secret: after the approval", "secret", {}, "provider_refused", [
    "invalid_client (confidential client requires authentication)",
    "a confidential one needs its clientSecret",
  ]],
  [
    "a wrong secret: unauthorized_client",
    "secret",
    { clientSecret: "another secret" },
    "provider_refused",
    ["unauthorized_client.", "that clientSecret", "Enable the device code grant"],
  ],
  ["no device grant", "browser", { flow: "device" }, "provider_refused", [
    "client missing grant type",
    "Enable the device code grant",
  ]],
];

for (const [what, client, options, code, words] of REFUSALS) {
  live.test(`zitadel/oidc's older router: ${what}: is told`, async () => {
    await using provider = await OpProvider.start(server);
    await provider.op.set({ router: "provider" });
    await using world = await MatrixWorld.make(ZITADEL, provider, client);
    await rejectsWith(code, () => createSession({ ...world.options, ...options }), ...words);
    assertEquals(await Array.fromAsync(world.backend.list()), []);
  });
}

live.test("zitadel/oidc's older router: takes the secret in the header only", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ router: "provider" });
  await using world = await MatrixWorld.make(ZITADEL, provider, "secret");
  const options = { ...world.options, clientSecret: OP_SECRET };
  await using session = await createSession(options);
  await session.accessToken({ forceRefresh: true });
  const grants = [["device_code", 401], ["device_code", 200], ["refresh_token", 200]];
  assertEquals(provider.gateway.grants, grants as [string, number][]);
});
