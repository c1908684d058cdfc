/** Getters that throw, in a backend of anybody and in options: each error has a code, and no words of theirs. */
import { assert, assertEquals } from "@std/assert";
import {
  clearOidcCredentials,
  createSession,
  FileCredentialsBackend,
  init,
  type InitOptions,
  MemoryCredentialsBackend,
  migrateCredentials,
  type OidcCredentialsBackend,
  requiredPermissions,
  type Session,
  startSignIn,
} from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { cliWorld } from "../client/cli/cli_world.ts";
import { entry, SECRETS } from "../support/entries.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const METHODS = ["get", "put", "delete"] as const;
const OPTIONAL = [
  "withLock",
  "list",
  "deleteAll",
  "requiredPermissions",
  "persistent",
  "location",
  "close",
] as const satisfies (keyof OidcCredentialsBackend)[];
const KEY = crypto.getRandomValues(new Uint8Array(32));

/** A backend with all members, one of which throws when it is read, from the time `fault` is on. */
class OddBackend {
  readonly fault = { isOn: true };
  readonly backend: OidcCredentialsBackend;

  constructor(member: string) {
    const { fault } = this;
    const rows = new MemoryCredentialsBackend();
    const whole = {
      get: (key) => rows.get(key),
      put: (key, row) => rows.put(key, row),
      delete: (key) => rows.delete(key),
      withLock: (_key, fn) => fn(),
      list: () => rows.list(),
      deleteAll: () => rows.deleteAll(),
      requiredPermissions: () => [],
      persistent: true,
      location: crypto.randomUUID(),
      close: () => {},
    } satisfies OidcCredentialsBackend;
    this.backend = new Proxy(whole, {
      get(target, name) {
        if (fault.isOn && name === member) throw new Error(SECRETS.refresh);
        return Reflect.get(target, name);
      },
    });
  }
}

function odd(member: string): OidcCredentialsBackend {
  return new OddBackend(member).backend;
}

type Options = InitOptions & { credentialsBackend: OidcCredentialsBackend };

/** The calls that take a backend. */
const CALLS: Record<string, (options: Options) => unknown> = {
  init: (options) => init({ ...options, model: "m" }),
  createSession,
  startSignIn,
  requiredPermissions: (options) => requiredPermissions({ ...options, model: "m" }),
  clearOidcCredentials: ({ issuer, clientId, credentialsBackend }) =>
    clearOidcCredentials({ issuer: issuer!, clientId: clientId!, credentialsBackend }),
  "clearOidcCredentials({ all })": ({ credentialsBackend }) =>
    clearOidcCredentials({ all: true, credentialsBackend }),
  "migrateCredentials from": ({ credentialsBackend }) =>
    migrateCredentials(credentialsBackend, new MemoryCredentialsBackend()),
  "migrateCredentials to": ({ credentialsBackend }) =>
    migrateCredentials(new MemoryCredentialsBackend(), credentialsBackend),
  "a fallback": ({ credentialsBackend }) =>
    new FallbackCredentialsBackend({
      backends: [new MemoryCredentialsBackend(), credentialsBackend],
    }),
  "an encrypted store": ({ credentialsBackend }) =>
    new EncryptedCredentialsBackend({ backend: credentialsBackend, key: KEY }),
  "a key's store": ({ credentialsBackend }) =>
    new EncryptedCredentialsBackend({
      backend: new MemoryCredentialsBackend(),
      key: { backend: credentialsBackend },
    }),
};

for (const [name, call] of Object.entries(CALLS)) {
  Deno.test(`a backend with a getter that throws is refused: ${name}`, async () => {
    await using world = await scriptedProviderWorld();
    const attempt = (member: string) =>
      rejectsWith(
        "invalid_backend",
        () => call({ ...world.options, credentialsBackend: odd(member) }),
      );
    for (const member of METHODS) {
      const { message } = await attempt(member);
      assert(message.includes(`no method ${member}()`), message);
    }
    for (const member of OPTIONAL) {
      const { message } = await attempt(member);
      assert(message.includes(`its getter of "${member}" throws`), message);
    }
    assertEquals(world.codes, []);
  });
}

Deno.test("a backend whose class cannot be read serves, without a name", async () => {
  await using world = await scriptedProviderWorld();
  const credentialsBackend = odd("constructor");
  await using session = await createSession({ ...world.options, credentialsBackend });
  assertEquals((await session.status()).backend?.name, "the credentials backend");
  const { keys } = await session.clear();
  assertEquals(keys, [world.key]);
});

/** The calls of a session whose backend has been in use. */
const USES: Record<string, (session: Session) => unknown> = {
  "accessToken()": async (session) => void await session.accessToken({ forceRefresh: true }),
  "status()": (session) => session.status(),
  "clear()": (session) => session.clear(),
  "Deno.inspect": (session) => Deno.inspect(session),
  "close()": (session) => session.close(),
  "clearOidcCredentials()": () => clearOidcCredentials(),
  "clearOidcCredentials({ all })": () => clearOidcCredentials({ all: true }),
};

for (const [name, use] of Object.entries(USES)) {
  Deno.test(`a getter that throws later is no error, or one with a code: ${name}`, async () => {
    for (const member of [...METHODS, ...OPTIONAL, "constructor"]) {
      await using world = await scriptedProviderWorld();
      const { backend: credentialsBackend, fault } = new OddBackend(member);
      fault.isOn = false;
      const session = await init({ ...world.options, credentialsBackend, model: "m" });
      fault.isOn = true;
      let shown: unknown;
      try {
        shown = await use(session);
      } catch (error) {
        assert(typeof (error as { code?: unknown }).code === "string", `${member}: ${error}`);
        shown = error;
      }
      assertNoSecret(shown);
    }
  });
}

Deno.test("a fallback and an encrypted store describe a store whose getter throws later", async () => {
  for (const member of ["location", "persistent", "constructor"]) {
    const { backend, fault } = new OddBackend(member);
    fault.isOn = false;
    const encrypted = new EncryptedCredentialsBackend({ backend, key: KEY });
    const fallback = new FallbackCredentialsBackend({ backends: [backend] });
    await fallback.put("k", entry());
    fault.isOn = true;
    assertEquals(await fallback.get("k"), entry());
    for (const { location, persistent } of [encrypted, fallback]) {
      assertNoSecret([location, persistent]);
    }
  }
});

Deno.test("doctor and status tell of a backend whose getter throws, without its words", async () => {
  await using world = await cliWorld();
  const path = `${world.home}/odd.ts`;
  Deno.writeTextFileSync(
    path,
    `export class Odd {
      get() {} put() {} delete() {}
      get location() { throw new Error(${JSON.stringify(SECRETS.refresh)}); }
    }`,
  );
  const env = { VM_OIDC_CREDENTIALS_BACKEND: `${path}:Odd` };
  for (const command of ["doctor", "status", "list", "login", "logout"]) {
    const { code, stdout, stderr } = await world.run([command], { env });
    const text = stdout + stderr;
    assertNoSecret(text);
    assert(code === 1 && text.includes('its getter of "location" throws'), `${command}: ${text}`);
  }
});

/** Options of which one throws when it is read. */
function oddOptions(name: string): never {
  return Object.defineProperty({}, name, {
    enumerable: true,
    get: () => {
      throw new Error(SECRETS.refresh);
    },
  }) as never;
}

Deno.test("options with a getter that throws are refused", async () => {
  const memory = new MemoryCredentialsBackend();
  const calls = [
    () => init(oddOptions("issuer")),
    () => createSession(oddOptions("issuer")),
    () => createSession(oddOptions("scope")),
    () => startSignIn(oddOptions("flow")),
    () => requiredPermissions(oddOptions("issuer")),
    () => requiredPermissions({}, oddOptions("call")),
    () => clearOidcCredentials(oddOptions("issuer")),
    () => migrateCredentials(memory, new MemoryCredentialsBackend(), oddOptions("deleteSource")),
    () => new FileCredentialsBackend(oddOptions("path")),
    () => new FallbackCredentialsBackend(oddOptions("backends")),
    () => new EncryptedCredentialsBackend(oddOptions("backend")),
  ];
  for (const call of calls) await rejectsWith("invalid_options", call, "a getter of its options");
});
