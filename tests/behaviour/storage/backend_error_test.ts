import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { type ProviderWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

type Method = "get" | "put" | "delete" | "withLock" | "list";

/** A stranger's backend: of any method that is told to fail, the error quotes what is stored. */
class QuotingBackend extends SpyBackend {
  readonly failing = new Set<Method>();
  /** Everything that was ever stored. */
  readonly seen: OidcCredentials[] = [];
  make: (text: string) => unknown = (text) => new Error(text);

  override async get(key: string): Promise<OidcCredentials | undefined> {
    this.#fail("get");
    return await super.get(key);
  }

  override async put(key: string, entry: OidcCredentials): Promise<void> {
    if (!key.startsWith("probe|")) {
      this.seen.push(entry);
      this.#fail("put");
    }
    await super.put(key, entry);
  }

  override async delete(key: string): Promise<void> {
    if (!key.startsWith("probe|")) this.#fail("delete");
    await super.delete(key);
  }

  async withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
    this.#fail("withLock");
    return await fn();
  }

  async *list(): AsyncGenerator<string> {
    this.#fail("list");
    yield* this.rows.keys();
  }

  #fail(method: Method): void {
    if (this.failing.has(method)) throw this.make(`no ${method} of ${JSON.stringify(this.seen)}`);
  }
}

const THROWN: [what: string, make: (text: string) => unknown, words: string][] = [
  ["an Error", (text) => new Error(text), "it threw Error"],
  ["a SyntaxError", (text) => new SyntaxError(text), "it threw SyntaxError"],
  ["an error with a cause", (text) => new Error("x", { cause: text }), "it threw Error"],
  ["an error with fields", (text) => Object.assign(new Error("x"), { text }), "it threw Error"],
  ["a text", (text) => text, "something that is no error"],
  ["an object", (text) => ({ text, code: "backend_corrupt" }), "something that is no error"],
];

/** Each use that meets a fault of a method, and the action that the message names. */
async function usesOf(world: ProviderWorld<ScriptedProvider>, backend: QuotingBackend) {
  const options = { ...world.options, credentialsBackend: backend };
  const session = await createSession(options);
  const start = () => createSession(options);
  const force = () => session.accessToken({ forceRefresh: true });
  const clearAll = () => clearOidcCredentials({ all: true, credentialsBackend: backend });
  const uses: [Method, action: string, use: () => Promise<unknown>][] = [
    ["get", "Cannot read credentials from QuotingBackend", start],
    ["get", "Cannot read credentials from QuotingBackend", force],
    ["withLock", "Cannot lock credentials in QuotingBackend", force],
    ["delete", "Cannot delete credentials from QuotingBackend", () => session.clear()],
    ["list", "Cannot list credentials in QuotingBackend", clearAll],
  ];
  return { uses, force };
}

for (const [what, make, words] of THROWN) {
  test(`backend errors: ${what} that quotes tokens is not passed on`, async (world) => {
    const backend = new QuotingBackend();
    const { uses } = await usesOf(world, backend);
    backend.make = make;
    const secrets = tokensOf(backend.seen[0]!);
    for (const [method, action, use] of uses) {
      backend.failing.add(method);
      const error = await rejectsWith("backend_unavailable", use, action, words);
      assertNoSecret(error, secrets);
      backend.failing.clear();
    }
    assertEquals(backend.rows.size, 1); // nothing of it was taken for "not signed in"
    const full = new QuotingBackend();
    const { force } = await usesOf(world, full);
    full.make = make;
    full.failing.add("put");
    const error = await rejectsWith("credentials_not_stored", force, "Cannot write credentials to");
    assert(error.cause instanceof CredentialsBackendError);
    assertStringIncludes(error.cause.message, words);
    assert(full.seen.length > 1);
    assertNoSecret(error, full.seen.flatMap(tokensOf));
  });
}

const WORDS = "Cannot do it: no. Mend it.";

/** Coded errors, as only this module and its users can make them. */
const CODED: [what: string, make: (text: string) => CredentialsBackendError][] = [
  ["in its message", (text) => coded(`${WORDS} ${text}`)],
  ["in its cause", (text) => coded(WORDS, { cause: new Error(text) })],
  ["in the cause of its cause", (text) => coded(WORDS, { cause: coded(WORDS, { cause: text }) })],
  ["in an object as its cause", (text) => coded(WORDS, { cause: { row: { text } } })],
  ["in a property", (text) => Object.assign(coded(WORDS), { row: text })],
  ["in its name", (text) => Object.assign(coded(WORDS), { name: text })],
  ["in its code", (text) => Object.assign(coded(WORDS), { code: text })],
  ["in its stack", (text) => Object.assign(coded(WORDS), { stack: text })],
  ["in a subclass", (text) => {
    return new (class Own extends CredentialsBackendError {
      readonly row = text;
    })("backend_unavailable", WORDS);
  }],
];

function coded(message: string, options?: ErrorOptions): CredentialsBackendError {
  return new CredentialsBackendError("backend_unavailable", message, options);
}

const EVIL = "\x1b]0;x\x07\x1b[2J\u202e\r\n";

for (const [what, make] of CODED) {
  test(`backend errors: a coded one of a stranger's with tokens ${what} is cleaned`, async (world) => {
    const backend = new QuotingBackend();
    const { uses } = await usesOf(world, backend);
    backend.make = (text) => make(`${EVIL}${text}`);
    for (const [method, , use] of uses) {
      backend.failing.add(method);
      const error = await rejectsWith("backend_unavailable", use);
      assertNoSecret(error, tokensOf(backend.seen[0]!));
      const { message, name, code, stack } = error;
      const shown = [message, name, code, stack, Deno.inspect(error, { colors: false })].join("");
      assertEquals(/\p{C}/u.test(shown.replaceAll("\n", "")), false, JSON.stringify(shown));
      backend.failing.clear();
    }
    assertEquals(backend.rows.size, 1);
  });
}

const TOKEN = "Zm9vYmFyYmF6-42_quxcorgegrault";

/** Errors of a store whose entry nobody has read, and what is left of their words. */
const UNREAD: [what: string, make: () => unknown, shown: string | undefined, name?: string][] = [
  ["words", () => new Error("database is locked"), "database is locked"],
  ["a kind", () => new RangeError("no row 7"), "no row 7", "RangeError"],
  ["a path", () => new Error("no '/srv/2026-model-risks/a.db'"), "no '/srv/2026-model-risks/a.db'"],
  ["an address", () => new Error(`no https://h:9/x?token=abc`), "no https://h:9/x?…"],
  [
    "a token in base64",
    () => new Error("at /v1/1//0gAb3/dGhpcyBpc3xhRm9v"),
    "at /v1/1//0gAb3/[removed]",
  ],
  ["a token", () => new Error(`bad row: ${TOKEN} at 3`), "bad row: [removed] at 3"],
  ["letters", () => new Error(`bad ${"ab".repeat(20)}!`), "bad [removed]!"],
  ["a JWT", () => new Error("bad eyJhbGciOi.eyJz.x1"), "bad [removed]"],
  ["a field", () => new Error('{"id_token":"abc"'), '{"id_token":"[removed]"'],
  [
    "a short row that is not JSON",
    () => caught('abc"'),
    "Unexpected token 'a', [removed] is not valid JSON",
    "SyntaxError",
  ],
  [
    "a row that is not JSON",
    () => caught(`{"access_token":"${TOKEN}"x${TOKEN}`),
    undefined,
    "SyntaxError",
  ],
  ["a text", () => "no such row", "no such row"],
];

function caught(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}

for (const [what, make, shown, name = "Error"] of UNREAD) {
  test(`backend errors: ${what} in the store's own error is shown to its author, without tokens`, async (world) => {
    const backend = new QuotingBackend();
    backend.failing.add("get");
    backend.make = make;
    const start = () => createSession({ ...world.options, credentialsBackend: backend });
    const { cause } = await rejectsWith("backend_unavailable", start, "See the cause");
    assert(cause instanceof Error);
    assertEquals([cause.name, shown ?? cause.message], [name, cause.message]);
    const text = Deno.inspect(cause);
    for (let at = 0; at + 8 <= TOKEN.length; at++) {
      assertEquals(text.includes(TOKEN.slice(at, at + 8)), false, text);
    }
    if (typeof make() !== "string") assertStringIncludes(text, import.meta.url); // its place
  });
}

test("backend errors: the causes of a store's own error are shown, and a hostile one does no harm", async (world) => {
  const backend = new QuotingBackend();
  const options = { ...world.options, credentialsBackend: backend };
  await createSession(options);
  const [secret] = tokensOf(backend.seen[0]!);
  backend.failing.add("get");
  const inner = new Error(`connection refused for ${secret}`);
  const looped: Error = new Error("first", { cause: new Error("second", { cause: inner }) });
  inner.cause = looped;
  backend.make = () => looped;
  const start = () => createSession(options);
  const error = await rejectsWith("backend_unavailable", start);
  const messages: string[] = [];
  for (let at = error.cause; at instanceof Error; at = at.cause) messages.push(at.message);
  assertEquals(messages, ["first", "second", "connection refused for [removed]"]);
  const hostile = new Error("x");
  backend.make = () => Object.assign(hostile, { name: secret, stack: `\n    at ${secret}` });
  assertNoSecret(await rejectsWith("backend_unavailable", start), [secret!]);
});

test("backend errors: the tokens of a written entry go from a coded error in every form", async (world) => {
  const backend = new QuotingBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.put = (key, entry) => {
    if (key.startsWith("probe|")) return SpyBackend.prototype.put.call(backend, key, entry);
    backend.seen.push(entry);
    const { access_token, refresh_token } = entry;
    const forms = [access_token, btoa(refresh_token!), encodeURIComponent(refresh_token!)];
    return Promise.reject(coded(`Cannot put it: no ${forms.join(" or ")}. Free some space.`));
  };
  const run = () => session.accessToken({ forceRefresh: true });
  const error = await rejectsWith("credentials_not_stored", run, "Free some space");
  assertNoSecret(error, backend.seen.flatMap(tokensOf));
});

/** A stranger's store, which gives each entry in a form of its own. */
class OddBackend extends SpyBackend {
  form: ((entry: OidcCredentials) => unknown) | undefined;

  override async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await super.get(key);
    const isOdd = entry !== undefined && this.form !== undefined;
    return isOdd ? this.form!(entry) as OidcCredentials : entry;
  }
}

const FORMS: [found: string, form: (entry: OidcCredentials) => unknown][] = [
  ["a string", (entry) => JSON.stringify(entry)],
  ["a number", () => 0],
  ["a boolean", () => false],
  ["an array, bytes or the like", (entry) => [entry]],
  ["an array, bytes or the like", (entry) => new TextEncoder().encode(JSON.stringify(entry))],
];

const WAYS: [way: string, wrap: (store: OddBackend) => Promise<OidcCredentialsBackend>][] = [
  ["", (store) => Promise.resolve(store)],
  [" by fallback", (store) => {
    const backends = [store, new MemoryCredentialsBackend()];
    return Promise.resolve(new FallbackCredentialsBackend({ backends }));
  }],
  [" by encrypted", async (backend) => {
    return new EncryptedCredentialsBackend({ backend, key: await testKey() });
  }],
];

for (const [way, wrap] of WAYS) {
  test(`a store${way} that gives no entry is corrupt: nobody is asked, nothing is overwritten`, async (world) => {
    const store = new OddBackend();
    const options = { ...world.options, credentialsBackend: await wrap(store) };
    const session = await createSession(options);
    const rows = [...store.rows];
    const secrets = tokensOf((await options.credentialsBackend.get(world.key))!);
    world.provider.reset();
    store.calls.length = 0;
    for (const [found, form] of FORMS) {
      store.form = form;
      const words = ["OddBackend", `gave ${found}, not an entry`, "Nothing was changed"];
      for (const interactive of [true, false]) {
        const start = () => createSession({ ...options, interactive });
        assertNoSecret(await rejectsWith("backend_corrupt", start, ...words), secrets);
      }
      const force = () => session.accessToken({ forceRefresh: true });
      assertNoSecret(await rejectsWith("backend_corrupt", force, ...words), secrets);
    }
    assertEquals(world.provider.requests, []);
    assert(store.calls.every((method) => method === "get"));
    assertEquals([...store.rows], rows);
    const { keys } = await session.clear();
    assertEquals([keys, store.rows.size], [[world.key], 0]);
  });
}
