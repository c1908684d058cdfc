// Sign-ins whose tokens a real GNOME Keyring keeps, with the permissions that are declared.
import { fromFileUrl } from "@std/path";
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  credentialKey,
  formatPermissionFlags,
  type PermissionNeed,
  requiredPermissions,
} from "@validmind/auth";
import { startOidcProvider, type TestOidcProvider } from "../../../support/oidc_provider.ts";
import { runDeno } from "../../../support/deno_process.ts";
import {
  type KeyringSession,
  startKeyringSession,
} from "../../../support/servers/keyring_session.ts";
import { startTrackingApi, type TrackingApi } from "../../../support/tracking_api.ts";
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

for (const flow of ["sign in", "refresh"] as const) {
  live.test(`keychain, ${flow}: what is declared is enough, and no less is`, async () => {
    await using world = await startWorld();
    const input = world.input(flow);
    const needs = await neededBy(input, world.session);
    await prepare(world, flow);
    assertEquals(await run(world, input, flags(needs)), { ok: true });
    for (const dropped of needs) {
      await prepare(world, flow);
      const { ok, code, message } = await run(
        world,
        input,
        flags(needs.filter((need) => need !== dropped)),
      );
      assertEquals([ok, code], [false, "permission_required"], message);
      const [flag] = formatPermissionFlags([dropped]).split("=");
      assertMatch(message!, new RegExp(flag!));
    }
  });
}

for (const before of ["cached start", "sign in"] as const) {
  const what = before === "sign in" ? "without" : "with";
  live.test(`a locked keychain ${what} tokens is no reason to ask anybody to sign in`, async () => {
    await using world = await startWorld();
    await prepare(world, before);
    await world.session.lock();
    world.provider.reset();
    const { code, message } = await run(world, world.input("sign in"), ["-A"]);
    assertEquals(code, "keychain_locked", message);
    assertEquals(world.provider.requests, []);
  });
}

live.test("without a Secret Service nobody is asked to sign in", async () => {
  await using world = await startWorld("absent");
  const { code, message } = await run(world, world.input("sign in"), ["-A"]);
  assertEquals(code, "backend_unavailable", message);
  assertEquals(world.provider.requests, []);
});

async function startWorld(state: "unlocked" | "absent" = "unlocked"): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const session = stack.use(await startKeyringSession({ state }));
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

/** Puts the keychain into the state in which the flow begins. */
async function prepare(world: World, flow: FlowInput["flow"]): Promise<void> {
  await runInSession(
    world.session,
    `await new KeychainCredentialsBackend().deleteAll(); console.log(1)`,
  );
  if (flow === "sign in") return;
  assertEquals(await run(world, world.input("sign in"), ["-A"]), { ok: true });
  if (flow === "refresh") await expire(world);
}

async function expire({ session, provider }: World): Promise<void> {
  const key = JSON.stringify(credentialKey(provider.issuer, provider.clientId));
  await runInSession(
    session,
    `
    const backend = new KeychainCredentialsBackend();
    const stored = await backend.get(${key});
    await backend.put(${key}, { ...stored, expires_at: "2020-01-01T00:00:00Z" });
    console.log(1);
  `,
  );
}

async function run(
  { session }: World,
  input: FlowInput,
  flags: string[],
  env: Record<string, string> = {},
): Promise<FlowOutcome> {
  const { stdout, stderr } = await runDeno({
    file: FLOWS,
    flags,
    args: [JSON.stringify(input)],
    env: { ...session.env, ...env },
  });
  assert(stdout !== "", stderr);
  return JSON.parse(stdout);
}

async function allNeeds(input: FlowInput, session: KeyringSession): Promise<PermissionNeed[]> {
  return await withEnv({ HOME: session.env.HOME! }, async () => {
    const { interactive: _, ...options } = flowOptions(input);
    if (input.flow !== "clear") return await requiredPermissions(options);
    const { apiHost: _1, model: _2, ...named } = options;
    return await requiredPermissions(named, { call: "createSession" });
  });
}

async function neededBy(input: FlowInput, session: KeyringSession): Promise<PermissionNeed[]> {
  const needs = await allNeeds(input, session);
  return needs.filter(({ need }) =>
    need === "always" || (need === "sign_in" && input.flow !== "cached start")
  );
}

/** Flags as a process takes them, without a shell between. */
function flags(needs: readonly PermissionNeed[]): string[] {
  const names = [...new Set(needs.map(({ name }) => name))];
  return names.map((name) => formatPermissionFlags(needs.filter((need) => need.name === name)));
}
