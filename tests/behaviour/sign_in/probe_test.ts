import { assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import { test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

class OtherBack extends SpyBackend {
  override async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await super.get(key);
    return entry && { ...entry, access_token: "another" };
  }
}

class NothingBack extends SpyBackend {
  override async get(key: string): Promise<undefined> {
    await super.get(key);
  }
}

class KeepsAll extends SpyBackend {
  override delete(): Promise<void> {
    return Promise.resolve();
  }
}

for (const Backend of [OtherBack, NothingBack, KeepsAll]) {
  test.real(`probe: ${Backend.name} is found out before the provider hears of it`, async (world) => {
    const backend = new Backend();
    const run = () => createSession({ ...world.options, credentialsBackend: backend });
    await rejectsWith("backend_unproven", run, Backend.name);
    assertEquals([world.provider.requests, world.codes], [[], []]);
    if (Backend !== KeepsAll) assertEquals(backend.rows.size, 0);
  });
}

for (const method of ["put", "get", "delete"] as const) {
  test.real(`probe: a ${method} that fails ends the sign-in before the provider hears of it`, async (world) => {
    const backend = new SpyBackend();
    const problem = new CredentialsBackendError(
      "backend_unavailable",
      "Cannot write: the disk is gone. Mend it.",
    );
    backend.before = (called, key) => {
      if (called === method && key !== world.key) throw problem;
    };
    const run = () => createSession({ ...world.options, credentialsBackend: backend });
    const { message } = await rejectsWith("backend_unavailable", run);
    assertEquals(message, problem.message);
    assertEquals([world.provider.requests, world.codes], [[], []]);
    if (method !== "delete") assertEquals(backend.rows.size, 0);
  });
}

test("probe: leaves nothing behind", async (world) => {
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  let atFirstRequest: number | undefined;
  world.provider.script.discovery.push(() => {
    atFirstRequest = backend.rows.size;
  });
  await createSession(options);
  assertEquals([atFirstRequest, [...backend.rows.keys()]], [0, [world.key]]);
});
