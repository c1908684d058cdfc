// Sign-ins whose tokens a real GNOME Keyring keeps, with the permissions that are declared.
import { fromFileUrl } from "@std/path";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatPermissionFlags, requiredPermissions } from "@validmind/auth";
import { startOidcProvider, type TestOidcProvider } from "../../../support/oidc_provider.ts";
import { runDeno } from "../../../support/deno_process.ts";
import {
  type KeyringSession,
  startKeyringSession,
} from "../../../support/servers/keyring_session.ts";
import { startTrackingApi, type TrackingApi } from "../../../support/tracking_api.ts";
import { permissionFlagsOf } from "../../../support/permission_flags.ts";
import { withEnv } from "../../../support/own_env.ts";
import { runInSession } from "../../../backends/keychain/session.ts";
import {
  type FlowInput,
  flowOptions,
  type FlowOutcome,
} from "../../../behaviour/permissions/permission_flows.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";

const live = await liveTests("keyring");

const FLOWS = fromFileUrl(
  new URL("../../../behaviour/permissions/permission_flows.ts", import.meta.url),
);

interface World extends AsyncDisposable {
  session: KeyringSession;
  provider: TestOidcProvider;
  api: TrackingApi;
  input(flow: FlowInput["flow"]): FlowInput;
}

live.test("keychain: what is declared for a sign-in is enough, and no less is", async () => {
  await using world = await startWorld();
  const input = world.input("sign in");
  const needs = await withEnv({ HOME: world.session.env.HOME! }, async () => {
    const { interactive: _, ...options } = flowOptions(input);
    return (await requiredPermissions(options)).filter(({ need }) => need !== "optional");
  });
  await empty(world);
  assertEquals(await run(world, input, permissionFlagsOf(needs)), { ok: true });
  for (const dropped of needs) {
    await empty(world);
    const flags = permissionFlagsOf(needs.filter((need) => need !== dropped));
    const { ok, code, message } = await run(world, input, flags);
    assertEquals([ok, code], [false, "permission_required"], message);
    const [flag] = formatPermissionFlags([dropped]).split("=");
    assertMatch(message!, new RegExp(flag!));
  }
});

async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const session = stack.use(await startKeyringSession());
  const provider = stack.use(await startOidcProvider({ interval: 0.05 }));
  provider.autoApprove = true;
  const api = stack.use(await startTrackingApi());
  const started = stack.move();
  return {
    session,
    provider,
    api,
    input: (flow) => ({
      flow,
      backend: { kind: "keychain" },
      issuer: provider.issuer,
      clientId: provider.clientId,
      apiHost: api.apiHost,
    }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

async function empty({ session }: World): Promise<void> {
  const code = `await new KeychainCredentialsBackend().deleteAll(); console.log(1)`;
  await runInSession(session, code);
}

async function run(
  { session }: World,
  input: FlowInput,
  flags: string[],
): Promise<FlowOutcome> {
  const { stdout, stderr } = await runDeno({
    file: FLOWS,
    flags,
    args: [JSON.stringify(input)],
    env: session.env,
  });
  assert(stdout !== "", stderr);
  return JSON.parse(stdout);
}
