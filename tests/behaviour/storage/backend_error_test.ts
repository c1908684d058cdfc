import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  clearOidcCredentials,
  CredentialsBackendError,
  MemoryCredentialsBackend,
  type OidcCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { rememberEntry } from "../../../backends/common/foreign_error.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { busyTime } from "../../support/busy_time.ts";
import { catchWarnings } from "../../support/caught_warnings.ts";
import { tokensOf } from "../../support/entries.ts";
import { HOUR, renew, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { errorParts, storeError } from "../../support/error_parts.ts";

type Method = "get" | "put" | "delete" | "withLock" | "list";

/** A stranger's backend: of the method that is told to fail, the error quotes what is stored. */
class QuotingBackend extends SpyBackend {
  failing: Method | undefined;
  /** Everything that was ever stored. */
  readonly seen: OidcCredentials[] = [];
  make: (text: string) => unknown = (text) => new Error(text);

  override before = (method: Method, key: string) => {
    if (method === "get" || !key.startsWith("probe|")) this.#fail(method);
  };

  override async put(key: string, entry: OidcCredentials): Promise<void> {
    if (!key.startsWith("probe|")) this.seen.push(entry);
    await super.put(key, entry);
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
    if (this.failing === method) throw this.make(`no ${method} of ${JSON.stringify(this.seen)}`);
  }
}

type Make = (text: string) => unknown;
const WORDS = "Cannot do it: no. Mend it.";
const UNCODED = "it threw Error";

/** What a store throws, and words of the message for what has no code. */
const THROWN: [what: string, make: Make, words?: string][] = [
  ["an Error", (text) => new Error(text), UNCODED],
  ["a SyntaxError", (text) => new SyntaxError(text), "it threw SyntaxError"],
  ["an error with a cause", (text) => new Error("x", { cause: text }), UNCODED],
  ["an error with fields", (text) => Object.assign(new Error("x"), { text }), UNCODED],
  ["a text", (text) => text, UNCODED],
  ["an object", (text) => ({ text, code: "backend_corrupt" }), UNCODED],
  ["an error that cannot be read", (text) => {
    const get = () => {
      throw new Error(text);
    };
    return new Proxy(new Error("x"), { get, getPrototypeOf: get });
  }, UNCODED],
  ["a coded one, in a getter", (text) => {
    return Object.defineProperty(coded(WORDS), "row", { get: () => text, enumerable: true });
  }],
  ["a coded one, in its message", (text) => coded(`${WORDS} ${text}`)],
  ["a coded one, in its cause", (text) => coded(WORDS, { cause: new Error(text) })],
  [
    "a coded one, in a cause of its cause",
    (text) => coded(WORDS, { cause: coded(WORDS, { cause: text }) }),
  ],
  ["a coded one, in an object as its cause", (text) => coded(WORDS, { cause: { row: { text } } })],
  ...["row", "name", "code", "stack"].map((name): [string, Make] => [
    `a coded one, in its ${name}`,
    (text) => Object.assign(coded(WORDS), { [name]: text }),
  ]),
  ["a coded one, in a subclass", (text) => {
    return new (class Own extends CredentialsBackendError {
      readonly row = text;
    })("backend_unavailable", errorParts(WORDS));
  }],
];

function coded(message: string, options?: ErrorOptions): CredentialsBackendError {
  return storeError("backend_unavailable", message, options?.cause);
}

const EVIL = "\x1b]0;x\x07\x1b[2J\u202e\r\n";

for (const [what, make, words] of THROWN) {
  test(`backend errors: ${what}, that quotes tokens is told without them and without controls`, async (world) => {
    const backend = new QuotingBackend();
    const options = { credentialsBackend: backend };
    const session = await world.signIn(options);
    const start = () => world.signIn(options);
    const force = () => renew(session);
    const clearAll = () => clearOidcCredentials({ all: true, ...options });
    const uses: [Method, action: string, use: () => Promise<unknown>][] = [
      ["get", "Cannot read credentials from QuotingBackend", start],
      ["get", "Cannot read credentials from QuotingBackend", force],
      ["withLock", "Cannot lock credentials in QuotingBackend", force],
      ["list", "Cannot list credentials in QuotingBackend", clearAll],
      ["put", "Cannot write credentials to", force],
      ["delete", "Cannot delete credentials from QuotingBackend", () => session.clear()],
    ];
    backend.make = (text) => make(`${EVIL}${text}`);
    for (const [method, action, use] of uses) {
      backend.failing = method;
      const code = method === "put" ? "credentials_not_stored" : "backend_unavailable";
      const error = await rejectsWith(code, use, ...words ? [action] : []);
      assertNoSecret(error, backend.seen.flatMap(tokensOf));
      const told = method === "put" ? error.cause as Error : error;
      assert(told instanceof CredentialsBackendError);
      if (words) assertStringIncludes(told.message, words);
      const { message, name, stack } = error;
      const shown = [message, name, error.code, stack, Deno.inspect(error, { colors: false })];
      assertEquals(/[^\P{C}\n]/u.test(shown.join("")), false, JSON.stringify(shown));
    }
    assertEquals(backend.rows.size, 1); // nothing of it was taken for "not signed in"
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
  ["a row that is not JSON", () => caught(`{"a":"${TOKEN}"x${TOKEN}`), undefined, "SyntaxError"],
  [
    "a short row that is not JSON",
    () => caught('abc"'),
    "Unexpected token 'a', [removed] is not valid JSON",
    "SyntaxError",
  ],
  ["a text", () => "no such row", "no such row"],
  ["a frame", () => new Error(`bad row:\n    at ${TOKEN}`), "bad row:     at [removed]"],
  [
    "a coded error's cause",
    () => coded(WORDS, { cause: new Error(`bad ${TOKEN}`) }),
    "bad [removed]",
  ],
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
    backend.failing = "get";
    backend.make = make;
    const start = () => world.signIn({ credentialsBackend: backend });
    const { cause } = await rejectsWith("backend_unavailable", start);
    assert(cause instanceof Error);
    assertEquals([cause.name, shown ?? cause.message], [name, cause.message]);
    const text = Deno.inspect(cause);
    for (let at = 0; at + 8 <= TOKEN.length; at++) {
      assertEquals(text.includes(TOKEN.slice(at, at + 8)), false, text);
    }
    if (typeof make() !== "string") assertStringIncludes(text, import.meta.url); // its place
  });
}

test("backend errors: a key of the encryption is not shown by the store that keeps it", async (world) => {
  const keys = new QuotingBackend();
  const store = new SpyBackend();
  const open = () => new EncryptedCredentialsBackend({ backend: store, key: { backend: keys } });
  const start = () => world.signIn({ credentialsBackend: open() });
  const quote = async (make: Make) => {
    keys.make = make;
    keys.failing = "get";
    const secrets = keys.seen.flatMap(({ encryption_key }) => encryption_key as string ?? []);
    assertNoSecret(await rejectsWith("backend_unavailable", start), secrets);
    keys.failing = undefined;
  };
  await open().put(world.key, { issuer: "i", client_id: "c", access_token: "a" });
  await quote((text) => coded(`${WORDS} ${text}`)); // before this process has read it
  await open().get(world.key);
  await quote((text) => coded(`${WORDS} ${text.replace("encryption_key", "row")}`));
});

test("backend errors: the causes of a store's own error are shown, and a hostile one does no harm", async (world) => {
  const backend = new QuotingBackend();
  const options = { credentialsBackend: backend };
  await world.signIn(options);
  const [secret] = tokensOf(backend.seen[0]!);
  backend.failing = "get";
  const inner = new Error(`connection refused for ${secret}`);
  const looped: Error = new Error("first", { cause: new Error("second", { cause: inner }) });
  inner.cause = looped;
  backend.make = () => looped;
  const start = () => world.signIn(options);
  const error = await rejectsWith("backend_unavailable", start);
  const messages: string[] = [];
  for (let at = error.cause; at instanceof Error; at = at.cause) messages.push(at.message);
  assertEquals(messages, ["first", "second", "connection refused for [removed]"]);
  const hostile = new Error("x");
  const stack = `\n    at ${secret}\n    at file:///store.ts?token=unread:1:2`;
  backend.make = () => Object.assign(hostile, { name: secret, stack });
  const { cause } = await rejectsWith("backend_unavailable", start);
  assertNoSecret(cause, [secret!]);
  assert((cause as Error).stack!.endsWith("at file:///store.ts?…"));
});

/** A stranger's store, which gives each entry in a form of its own. */
class OddBackend extends SpyBackend {
  form: ((entry: OidcCredentials) => unknown) | undefined;

  override async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await super.get(key);
    return entry && this.form ? this.form(entry) as OidcCredentials : entry;
  }
}

const FORMS: [found: string, form: (entry: OidcCredentials) => unknown][] = [
  ["a string", (entry) => JSON.stringify(entry)],
  ["a number", () => 0],
  ["a boolean", () => false],
  ["an array, bytes or the like", (entry) => [entry]],
  ["an array, bytes or the like", (entry) => new TextEncoder().encode(JSON.stringify(entry))],
];

const KEY = await testKey();
const WAYS: [way: string, wrap: (store: OddBackend) => OidcCredentialsBackend][] = [
  ["", (store) => store],
  [" by fallback", (store) => {
    const backends = [store, new MemoryCredentialsBackend()];
    return new FallbackCredentialsBackend({ backends });
  }],
  [" by encrypted", (backend) => new EncryptedCredentialsBackend({ backend, key: KEY })],
];

for (const [way, wrap] of WAYS) {
  test(`a store${way} that gives no entry is corrupt: nobody is asked, nothing is overwritten`, async (world) => {
    const store = new OddBackend();
    const options = { credentialsBackend: wrap(store) };
    const session = await world.signIn(options);
    const rows = [...store.rows];
    const secrets = tokensOf((await options.credentialsBackend.get(world.key))!);
    world.provider.reset();
    store.calls.length = 0;
    for (const [found, form] of FORMS) {
      store.form = form;
      const words = ["OddBackend", `gave ${found}, not an entry`, "Nothing was changed"];
      for (const interactive of [true, false]) {
        const start = () => world.signIn({ ...options, interactive });
        assertNoSecret(await rejectsWith("backend_corrupt", start, ...words), secrets);
      }
      const force = () => renew(session);
      assertNoSecret(await rejectsWith("backend_corrupt", force, ...words), secrets);
    }
    assertEquals(world.provider.requests, []);
    assert(store.calls.every((method) => method === "get"));
    assertEquals([...store.rows], rows);
    const { keys } = await session.clear();
    assertEquals([keys, store.rows.size], [[world.key], 0]);
  });
}

test.real("fallback: without the first store a person signs in to the second, and later ones go on", async (world) => {
  const second = new MemoryCredentialsBackend();
  const first = Object.assign(new SpyBackend(), { location: "first" });
  first.before = () => {
    throw storeError("backend_unavailable", "Cannot reach it: cut. Wait.");
  };
  const told = catchWarnings();
  const open = () => new FallbackCredentialsBackend({ backends: [first, second] });
  const session = await world.signIn({ credentialsBackend: open() });
  assert(second.get(world.key) !== undefined);
  const words = "first (backend_unavailable) is passed over";
  assert(told.some((one) => one.startsWith(words)), `${told}`);
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

// The last one here: every error of this process is slower from now on.
test("backend errors: the tokens of a long session do not hold up the error of a store", async (world) => {
  for (let count = 0; count < 200; count++) {
    const access_token = crypto.randomUUID().repeat(40);
    rememberEntry({ issuer: "i", client_id: "c", access_token });
  }
  const cause = new Error("connection refused", { cause: new Error("no route") });
  const backend = new QuotingBackend();
  backend.failing = "get";
  backend.make = () => new Error("no", { cause });
  const start = () => world.signIn({ credentialsBackend: backend });
  const time = await busyTime(() => rejectsWith("backend_unavailable", start));
  assert(time < 8_000, `${time} ms`); // it took half a minute
});
