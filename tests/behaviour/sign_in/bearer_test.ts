import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { HOUR, oidcProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const BUSY = () => new Response("busy", { status: 503 });

Deno.test("bearer: an ID token goes on requests, and ends by its own exp", async () => {
  await using world = await oidcProviderWorld({ idTokenTtl: 600 });
  const session = await createSession({ ...world.options, bearer: "id_token" });
  const first = world.stored();
  assertEquals(await session.accessToken(), first.id_token);
  assertEquals((await session.headers()).get("authorization"), `Bearer ${first.id_token}`);
  const { expiresAt } = await session.status();
  assertEquals(first.expires_at, expiresAt?.toISOString());
  assertEquals(Math.abs(expiresAt!.getTime() - Date.now() - 600_000) < 5_000, true);
  world.clock.advance(545_000); // less than a tenth is left; the access token would last for long
  assertEquals(await session.accessToken(), world.stored().id_token);
  assertEquals(world.provider.requests.at(-2)?.grantType, "refresh_token"); // then the keys
});

test("bearer: a start looks at the ID token's exp, not at a row that Python wrote", async (world) => {
  const options = { ...world.options, bearer: "id_token" } as const;
  await createSession(options);
  const exp = Math.floor(world.clock.now() / 1000) + 60;
  world.amend({
    id_token: await world.provider.idToken({ exp }),
    expires_at: new Date(world.clock.now() + HOUR).toISOString(),
  });
  world.provider.reset();
  await createSession(options);
  const grants = world.provider.requests.flatMap(({ grantType }) => grantType ?? []);
  assertEquals(grants, ["refresh_token"]);
});

test("bearer: no ID token where it is to be the bearer", async (world) => {
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  const options = { ...world.options, bearer: "id_token" } as const;
  await rejectsWith("id_token_missing", () => createSession(options), "openid", "bearer");
});

test("bearer: keys out of reach at a refresh: the old ID token serves until its end", async (world) => {
  const session = await createSession({ ...world.options, bearer: "id_token" });
  const { id_token } = world.stored();
  world.clock.advance(HOUR - 60_000);
  // A later ID token of the provider is another one, whatever the second in which it is made.
  world.provider.script.token.push(async () =>
    world.provider.tokens({ id_token: await world.provider.idToken({ later: true }) })
  );
  for (let time = 0; time < 3; time++) world.provider.script.jwks.push(BUSY);
  const other = await createSession({ ...world.options, bearer: "access_token" });
  assertEquals(await other.accessToken(), world.stored().access_token);
  assertEquals(world.provider.script.jwks, []);
  assertEquals(world.stored().id_token, id_token);
  for (let time = 0; time < 3; time++) world.provider.script.jwks.push(BUSY);
  world.provider.script.token.push(() => oauthError("temporarily_unavailable", 503));
  assertEquals(await session.accessToken(), id_token);
});

test("bearer: a refresh without an ID token, and the old one has ended", async (world) => {
  const session = await createSession({ ...world.options, bearer: "id_token" });
  world.clock.advance(HOUR + 60_000);
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  await rejectsWith("id_token_missing", () => session.accessToken());
  assertEquals(typeof world.stored().refresh_token, "string");
});
