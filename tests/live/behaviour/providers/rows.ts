import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { tempDir } from "../../../support/temp_home.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";
import { type Fault, isTold } from "./told.ts";
import { MatrixWorld } from "./world.ts";

/** Runs one row, and throws where it does not hold. */
export type Row = (kind: ProviderKind, provider: MatrixProvider) => Promise<void>;

/** Names a row; {@linkcode ProviderKind.cannot} does it so. */
export type RowName = keyof typeof ROWS;

const DAY = 24 * 3600_000;
const WRONG_SECRET = "Xq7-wR0ng-Pk3-Lm2";

/** All rows: what a real provider shows, and a scripted one cannot. */
export const ROWS = {
  "device flow, refresh and sign-out": (kind, provider) => lives(kind, provider, "public"),

  "browser, refresh and sign-out": (kind, provider) =>
    lives(kind, provider, "browser", (world) => world.browserOptions),

  "browser instead of the device flow": (kind, provider) =>
    lives(kind, provider, "browser", (world) => ({ ...world.browserOptions, flow: "auto" })),

  "client with its secret": (kind, provider) => lives(kind, provider, "secret"),

  "DPoP": (kind, provider) =>
    lives(kind, provider, "dpop", (world) => ({ ...world.options, dpop: true })),

  "DPoP in the browser": (kind, provider) =>
    lives(kind, provider, "dpop", (world) => ({ ...world.browserOptions, dpop: true })),

  "client_credentials with a secret": (kind, provider) => signsInItself(kind, provider, "secret"),

  "client_credentials with a key": (kind, provider) => signsInItself(kind, provider, "key"),

  async "device flow denied"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    world.denies = true;
    await isTold(world, "The person denies the request", () => createSession(world.options));
    assertEquals(await world.keys(), []);
  },

  "DPoP missing": fails("The client has to use DPoP", () => "dpop"),
  "client unknown": fails("The provider does not know the client", () => ({ clientId: "nobody" })),
  "client disabled": fails("The client is disabled", () => "disabled"),
  "client without its secret": fails(
    "A confidential client has no secret",
    (provider) => ({ clientId: provider.client("secret").clientId }),
  ),
  "client with a wrong secret": fails("A confidential client has a wrong secret", withWrongSecret),
  "client_credentials with a wrong secret": fails(
    "A wrong secret, and nobody there",
    withWrongSecret,
    "client_credentials",
  ),
  "client without the device flow": fails(
    "The client may not use the device flow",
    () => "browser",
    "device",
  ),

  async "refresh token used twice"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const { refresh_token } = await world.stored();
    const renew = () => session.accessToken({ forceRefresh: true });
    await renew();
    assertEquals(await refreshAsThief(world, refresh_token!), [400, "invalid_grant"]);
    await isTold(world, "A copied refresh token was used", renew);
  },

  async "answer to a refresh lost"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    provider.gateway.losesAnswer = true;
    const renew = () => session.accessToken({ forceRefresh: true });
    await isTold(world, "The answer to a refresh is lost", renew);
    await isTold(world, "The refresh after one whose answer was lost", renew);
  },

  async "session ended"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await (await createSession(world.options)).close();
    await provider.endSession();
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "An administrator has ended the session", start);
    await using session = await createSession(world.options); // and the person can sign in again
    assert(await provider.isActive(await session.accessToken()));
    assertEquals(world.codes.length, 2);
  },

  async "person disabled"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await (await createSession(world.options)).close();
    await provider.disablePerson();
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "The person's account is disabled", start);
  },

  async "keys rotated"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    await provider.rotateKeys();
    await session.accessToken({ forceRefresh: true });
    const { id_token } = await world.stored();
    await provider.rotateKeys();
    await session.accessToken({ forceRefresh: true });
    assertNotEquals((await world.stored()).id_token, id_token);
    assertEquals(world.codes.length, 1);
  },
} satisfies Record<string, Row>;

/** A sign-in, its use from the store, a refresh with rotation, and a sign-out with revocation. */
export async function lives(
  kind: ProviderKind,
  provider: MatrixProvider,
  client: ClientKind | TestClient,
  optionsOf: (world: MatrixWorld) => SessionOptions = (world) => world.options,
  person: string | null = "analyst@example.com",
): Promise<void> {
  await using world = await MatrixWorld.make(kind, provider, client);
  const options = optionsOf(world);
  await using session = await createSession(options);
  const before = await world.stored();
  assert(await provider.isActive(before.access_token));
  const { signedIn, email } = await session.status();
  assertEquals([signedIn, email], [true, person ?? undefined]);
  provider.gateway.reset();
  await using again = await createSession({ ...options, interactive: false });
  assertEquals(await again.accessToken(), before.access_token);
  assertEquals(provider.gateway.requests, []); // from the store alone
  await again.accessToken({ forceRefresh: true });
  const after = await world.stored();
  assertNotEquals(after.access_token, before.access_token);
  assertNotEquals(after.refresh_token, before.refresh_token);
  assertEquals([typeof after.dpop_key, after.dpop_key], [
    options.dpop ? "object" : "undefined",
    before.dpop_key,
  ]);
  assertEquals((await again.clear({ revoke: true })).revocation, "revoked");
  assertEquals([await provider.isActive(after.refresh_token!), await world.keys()], [false, []]);
}

/** The client gets a token of its own, without a person, and another one at its end. */
async function signsInItself(kind: ProviderKind, provider: MatrixProvider, client: ClientKind) {
  await using world = await MatrixWorld.make(kind, provider, client);
  await using dir = await tempDir();
  const { clientKey } = world.client;
  const clientKeyFile = `${dir.path}/key.json`;
  await Deno.writeTextFile(clientKeyFile, JSON.stringify(clientKey ?? {}), { mode: 0o600 });
  const proof = clientKey && { clientKeyFile };
  const { onDeviceCode: _, ...options } = world.options;
  await using session = await createSession({ ...options, ...proof, flow: "client_credentials" });
  const token = await session.accessToken();
  assert(await provider.isActive(token));
  assertNotEquals(await session.accessToken({ forceRefresh: true }), token);
  const grant: [string, number] = ["client_credentials", 200];
  assertEquals(provider.gateway.grants, [grant, grant]);
}

/** A row of a client that cannot sign in, and why. */
function fails(
  fault: Fault,
  clientOf: (provider: MatrixProvider) => ClientKind | TestClient,
  flow: "auto" | "device" | "client_credentials" = "auto",
): Row {
  return async (kind, provider) => {
    await using world = await MatrixWorld.make(kind, provider, clientOf(provider));
    const { onDeviceCode, ...options } = world.options;
    const asked = flow === "client_credentials" ? {} : { onDeviceCode };
    const start = () => createSession({ ...options, ...asked, flow });
    await isTold(world, fault, start);
    assertEquals(await world.keys(), []);
  };
}

function withWrongSecret(provider: MatrixProvider): TestClient {
  return { clientId: provider.client("secret").clientId, clientSecret: WRONG_SECRET };
}

/** Status and error of a refresh by somebody who copied the token. */
async function refreshAsThief(
  { provider, client: { clientId } }: MatrixWorld,
  refreshToken: string,
): Promise<[number, string]> {
  const discovery = await fetch(`${provider.issuer}/.well-known/openid-configuration`);
  const { token_endpoint } = await discovery.json();
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: clientId,
    refresh_token: refreshToken,
  });
  const response = await fetch(token_endpoint, { method: "POST", body });
  return [response.status, (await response.json()).error];
}
