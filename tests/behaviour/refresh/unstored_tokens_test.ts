import { assertEquals, assertNotEquals } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../../backends/credentials_backend_error.ts";
import { createSession } from "../../../client/create_session.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOUR = 3600_000;

/** A store that several hosts share, with its lock in the same place. */
class RemoteBackend extends SpyBackend {
  fault: CredentialsBackendErrorCode | undefined;
  override before = () => this.#check();

  async withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
    this.#check();
    return await fn();
  }

  #check(): void {
    if (this.fault) {
      throw new CredentialsBackendError(this.fault, "Cannot reach the store: test. Wait.");
    }
  }
}

for (const fault of ["backend_unavailable", "backend_timeout"] as const) {
  Deno.test(`unstored tokens are used while the store gives no lock: ${fault}`, async () => {
    await using world = await scriptedProviderWorld();
    const credentialsBackend = new RemoteBackend();
    const session = await createSession({ ...world.options, credentialsBackend });
    const first = await session.accessToken();
    world.clock.advance(HOUR);
    world.provider.script.token.push(() => {
      credentialsBackend.fault = fault;
    });
    await rejectsWith("credentials_not_stored", () => session.accessToken());
    const refreshed = await session.accessToken();
    assertNotEquals(refreshed, first);
    assertEquals(await session.accessToken(), refreshed);
    credentialsBackend.fault = undefined;
    world.clock.advance(11_000); // the outage is bridged for ten seconds, then looked at
    assertEquals(await session.accessToken(), refreshed);
    assertEquals(credentialsBackend.rows.get(world.key)?.access_token, refreshed);
  });
}

Deno.test("unstored tokens that have ended are not used", async () => {
  await using world = await scriptedProviderWorld();
  const credentialsBackend = new RemoteBackend();
  const session = await createSession({ ...world.options, credentialsBackend });
  world.clock.advance(HOUR);
  world.provider.script.token.push(() => {
    credentialsBackend.fault = "backend_unavailable";
  });
  await rejectsWith("credentials_not_stored", () => session.accessToken());
  world.clock.advance(HOUR);
  await rejectsWith("backend_unavailable", () => session.accessToken());
});
