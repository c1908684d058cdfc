/**
 * The ValidMind Python library removes a sign-in from the shared file where a refresh of its own fails,
 * whatever the reason. In the file that looks like a sign-out, and is taken for one.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { createSession, FileCredentialsBackend, type Session } from "@validmind/auth";
import { runProcess } from "../../../support/deno_process.ts";
import { scriptedProviderWorld } from "../../../support/provider_world.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { oauthError } from "../../../support/scripted_provider.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { serverBinary } from "../../../support/servers/servers.ts";
import { tempDir } from "../../../support/temp_home.ts";

const { test, shared } = await liveTests("validmind-library");
const python = await shared(() => serverBinary("validmind-library"));
const CHILD = fromFileUrl(new URL("../../../lab/torture/python_child.py", import.meta.url));

/** A sign-in by another process in the file of a home, which has ended and can be refreshed. */
async function sharedSignIn() {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await scriptedProviderWorld());
  const home = stack.use(await tempDir()).path;
  const { issuer, clientId, onDeviceCode } = world.options;
  await createSession(world.options);
  const row = { ...world.stored(), expires_at: "2020-01-01T00:00:00+00:00" };
  const path = `${home}/.validmind/credentials.json`;
  Deno.mkdirSync(`${home}/.validmind`, { mode: 0o700 });
  const document = { version: 1, credentials: { [world.key]: row } };
  Deno.writeTextFileSync(path, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
  const credentialsBackend = new FileCredentialsBackend({ path });
  const owned = stack.move();
  return {
    ...world,
    row,
    start: (): Promise<Session> =>
      createSession({
        issuer: issuer!,
        clientId: clientId!,
        onDeviceCode: onDeviceCode!,
        credentialsBackend,
        interactive: false,
      }),
    /** A start of the library, which refreshes. */
    async startPython(): Promise<void> {
      const command = [python, CHILD, "refresh", issuer!, clientId!];
      const { stdout } = await runProcess(command, { env: { HOME: home } });
      assertEquals(JSON.parse(stdout), { codes: ["login_required"] });
    },
    keys: () => Object.keys(JSON.parse(Deno.readTextFileSync(path)).credentials),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Waits in an answer of the provider. */
function gate() {
  const [came, open] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const pass = async () => {
    came.resolve();
    await open.promise;
  };
  return { came: came.promise, open: open.resolve, pass };
}

test("beside Python: a refresh of the library that meets a fault signs out, though the grant lives", async () => {
  await using world = await sharedSignIn();
  world.provider.script.token.push(() => new Response("down", { status: 503 }));
  await world.startPython();
  assertEquals(world.keys(), []);
  assert(world.provider.isActive(world.row.refresh_token!));
  await rejectsWith("login_required", world.start, "no sign-in is stored");
});

test("beside Python: a refusal of the library that comes after a refresh signs out", async () => {
  await using world = await sharedSignIn();
  const { came, open, pass } = gate();
  world.provider.script.token.push(() => pass().then(() => oauthError("invalid_grant")));
  const starting = world.startPython();
  await came;
  const session = await world.start();
  assertEquals(world.keys(), [world.key]);
  open();
  await starting;
  assertEquals(world.keys(), []);
  assert(world.provider.isActive(await session.accessToken())); // its token is used to its end
  const refresh = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("login_required", refresh, "no sign-in is stored");
  assertEquals(world.keys(), []);
});

test("beside Python: a refusal of the library in the midst of a refresh ends the new tokens, too", async () => {
  await using world = await sharedSignIn();
  const [theirs, ours] = [gate(), gate()];
  world.provider.script.token.push(
    () => theirs.pass().then(() => oauthError("invalid_grant")),
    () => ours.pass().then(() => undefined),
  );
  const starting = world.startPython();
  await theirs.came;
  const start = rejectsWith("login_required", world.start, "removed while its token was refreshed");
  await ours.came;
  theirs.open();
  await starting;
  ours.open();
  await start;
  assertEquals(world.keys(), []);
  const revoked = world.provider.requests.filter(({ path }) => path === "/revoke");
  assertEquals(revoked.length, 2);
});
