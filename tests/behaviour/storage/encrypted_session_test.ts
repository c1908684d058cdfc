// Sign-in, refresh and sign-out at a real provider, over stores that wrap other stores.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { migrateCredentials } from "../../../backends/migrate_credentials.ts";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { tempDir } from "../../support/temp_home.ts";
import { HOUR, renew, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";

test.real("encrypted file: sign-in, start, refresh with rotation and sign-out at a real provider", async (world) => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const open = async () =>
    new EncryptedCredentialsBackend({
      backend: new FileCredentialsBackend({ path }),
      key: await testKey(),
    });
  const options = { credentialsBackend: await open() };
  await world.signIn(); // plain, and moved
  const moved = { deleteSource: true };
  await migrateCredentials(world.backend, options.credentialsBackend, moved);
  const first = (await options.credentialsBackend.get(world.key))!;
  assertNoSecret(await Deno.readTextFile(path), tokensOf(first));

  world.provider.reset();
  const session = await world.signIn({ credentialsBackend: await open() });
  assertEquals([world.provider.requests.length, world.codes.length], [0, 1]);
  world.clock.advance(HOUR);
  const token = await session.accessToken();
  const second = (await (await open()).get(world.key))!;
  assertEquals(second.access_token, token);
  assertNotEquals(second.refresh_token, first.refresh_token);
  assertNoSecret(await Deno.readTextFile(path), [...tokensOf(first), ...tokensOf(second)]);
  assertNoSecret(await session.status(), tokensOf(second));

  const { keys, revocation } = await session.clear({ revoke: true });
  assertEquals([keys, revocation], [[world.key], "revoked"]);
  assertEquals(JSON.parse(await Deno.readTextFile(path)).credentials, {});
});

test.real("fallback: without the first store a person signs in to the second, and later ones go on", async (world) => {
  const second = new MemoryCredentialsBackend();
  const first = Object.assign(new SpyBackend(), { location: "first" });
  first.before = () => {
    throw new CredentialsBackendError("backend_unavailable", "Cannot reach it: cut. Wait.");
  };
  const told: string[] = [];
  const open = () =>
    new FallbackCredentialsBackend({
      backends: [first, second],
      onFallback: (message) => void told.push(message),
    });
  const session = await world.signIn({ credentialsBackend: open() });
  assert(second.get(world.key) !== undefined);
  assert(told[0]?.startsWith("first was passed over (backend_unavailable)"), told[0]);
  world.clock.advance(HOUR);
  assert(world.provider.isActive(await session.accessToken()));
  first.before = undefined; // from now on the first is there: the grant stays where it is, in one place
  world.clock.advance(HOUR);
  const later = await world.signIn({ credentialsBackend: open() });
  assert(world.provider.isActive(await later.accessToken()));
  assertEquals([first.rows.get(world.key), second.get(world.key) !== undefined], [undefined, true]);
  assert(world.provider.isActive(await renew(session)));
  assertEquals(world.codes.length, 1);
});
