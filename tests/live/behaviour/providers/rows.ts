import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import type { ClientKind, MatrixProvider, TestClient } from "./provider.ts";
import { MatrixWorld } from "./world.ts";

/** Runs one row, and throws where it does not hold. */
export type Row<P extends MatrixProvider = MatrixProvider> = (provider: P) => Promise<void>;

/** Names a row; `ProviderKind.cannot` does it so. */
export type RowName = keyof typeof ROWS;

const DAY = 24 * 3600_000;
const WRONG = { clientId: "secret", clientSecret: "Xq7-wR0ng-Pk3-Lm2" };
const SECRET = "clientSecret (VM_OIDC_CLIENT_SECRET)";

/** All rows: what a real provider shows, and a scripted one cannot. */
export const ROWS = {
  "device flow, refresh and sign-out": lives("public"),
  "browser, refresh and sign-out": lives("browser", (world) => world.browserOptions),
  "browser instead of the device flow": lives(
    "browser",
    (world) => ({ ...world.browserOptions, flow: "auto" }),
  ),
  "client with its secret": lives("secret"),
  "DPoP": lives("dpop", (world) => ({ ...world.options, dpop: true })),
  "DPoP in the browser": lives("dpop", (world) => ({ ...world.browserOptions, dpop: true })),
  "client_credentials with a secret": row("secret", signsInItself),
  "client_credentials with a key": row("key", async (world) => {
    const clientKeyFile = await world.write(JSON.stringify(world.client.clientKey));
    await signsInItself(world, { clientKeyFile });
  }),

  "device flow denied": row("public", async (world) => {
    world.denies = true;
    const start = () => createSession(world.options);
    await rejectsWith("device_code_denied", start, "access_denied", "Sign in again");
    assertEquals(await world.keys(), []);
  }),

  "DPoP missing": isRefused("dpop", ["dpop: true"]),
  "client unknown": isRefused({ clientId: "nobody" }, ["Check clientId", SECRET]),
  "client disabled": isRefused("disabled", ["The client has to be enabled"]),
  "client without its secret": isRefused({ clientId: WRONG.clientId }, [SECRET]),
  "client with a wrong secret": isRefused(WRONG, [`${SECRET} is its secret`]),
  "client_credentials with a wrong secret": isRefused(
    WRONG,
    [`${SECRET} is its secret`],
    (world) => ({ ...world.jobOptions, flow: "client_credentials" }),
  ),
  "client without the device flow": isRefused(
    "browser",
    ["the device code grant"],
    (world) => ({ ...world.options, flow: "device" }),
  ),

  "refresh token used twice": row("public", async (world) => {
    await using session = await createSession(world.options);
    const { refresh_token } = await world.stored();
    const renew = () => session.accessToken({ forceRefresh: true });
    await renew();
    assertEquals(await refreshAsThief(world, refresh_token!), [400, "invalid_grant"]);
    await rejectsWith("login_required", renew, "invalid_grant", "Sign in with");
  }),

  "answer to a refresh lost": row("public", async (world) => {
    await using session = await createSession(world.options);
    world.losesAnswer = true;
    const renew = () => session.accessToken({ forceRefresh: true });
    await rejectsWith("provider_unavailable", renew, "ended before");
    await rejectsWith("login_required", renew, "invalid_grant");
  }),

  "session ended": row("public", async (world) => {
    const { provider, asked } = world;
    await endsOver(world, () => provider.endSession());
    await using session = await createSession(world.options); // and the person can sign in again
    assert(await provider.isActive(await session.accessToken()));
    assertEquals(asked.length, 2);
  }),

  "person disabled": row("public", async (world) => {
    await endsOver(world, () => world.provider.disablePerson!());
  }),

  "keys rotated": row("public", async (world) => {
    await using session = await createSession(world.options);
    await world.provider.rotateKeys();
    await session.accessToken({ forceRefresh: true });
    const { id_token } = await world.stored();
    await world.provider.rotateKeys();
    await session.accessToken({ forceRefresh: true });
    assertNotEquals((await world.stored()).id_token, id_token);
    assertEquals(world.asked.length, 1);
  }),
} satisfies Record<string, Row>;

/** A row with a client of its own. */
export function row<P extends MatrixProvider>(
  client: ClientKind | TestClient,
  run: (world: MatrixWorld<P>) => Promise<void>,
): Row<P> {
  return async (provider) => {
    await using world = await MatrixWorld.make(provider, client);
    await run(world);
  };
}

/** A sign-in, its use from the store, a refresh with rotation, and a sign-out with revocation. */
export function lives(
  client: ClientKind,
  optionsOf: (world: MatrixWorld) => SessionOptions = (world) => world.options,
  person: string | null = "analyst@example.com",
): Row {
  return row(client, async (world) => {
    const { provider, fetch } = world;
    const options = optionsOf(world);
    await using session = await createSession(options);
    const before = await world.stored();
    assert(await provider.isActive(before.access_token));
    const { signedIn, email } = await session.status();
    assertEquals([signedIn, email], [true, person ?? undefined]);
    fetch.urls.length = 0;
    await using again = await createSession({ ...options, interactive: false });
    assertEquals(await again.accessToken(), before.access_token);
    assertEquals(fetch.urls, []); // from the store alone
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
  });
}

/** The client gets a token of its own, without a person, and another one at its end. */
export async function signsInItself(
  { jobOptions, provider }: MatrixWorld,
  proof: SessionOptions = {},
): Promise<void> {
  await using session = await createSession({
    ...jobOptions,
    ...proof,
    flow: "client_credentials",
  });
  const token = await session.accessToken();
  assert(await provider.isActive(token));
  assertNotEquals(await session.accessToken({ forceRefresh: true }), token);
}

/** A row of a client that cannot sign in, and the words by which a person is told why. */
export function isRefused(
  client: ClientKind | TestClient,
  words: string[],
  optionsOf: (world: MatrixWorld) => SessionOptions = (world) => world.options,
): Row {
  return row(client, async (world) => {
    await rejectsWith("provider_refused", () => createSession(optionsOf(world)), ...words);
    assertEquals(await world.keys(), []);
  });
}

/** Signs in; what an administrator then does ends the sign-in at its next refresh. */
export async function endsOver(world: MatrixWorld, act: () => Promise<unknown>): Promise<void> {
  await (await createSession(world.options)).close();
  await act();
  world.clock.advance(DAY);
  const start = () => createSession({ ...world.options, interactive: false });
  await rejectsWith("login_required", start, "invalid_grant");
}

/** Status and error of a refresh by somebody who copied the token. */
async function refreshAsThief(
  { provider: { issuer }, client: { clientId } }: MatrixWorld,
  refreshToken: string,
): Promise<[number, string]> {
  const discovery = await fetch(`${issuer}/.well-known/openid-configuration`);
  const { token_endpoint } = await discovery.json();
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: clientId,
    refresh_token: refreshToken,
  });
  const response = await fetch(token_endpoint, { method: "POST", body });
  return [response.status, (await response.json()).error];
}
