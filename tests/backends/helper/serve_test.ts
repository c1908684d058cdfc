/** A store as a program by `serveHelper`, with the program's streams in this process. */
import { assert, assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { serveHelper } from "../../../backends/helper.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { minimal } from "../stores.ts";

const ADDRESS = "https://validmind-auth.invalid/";
const SHORT = `${ADDRESS}${btoa(KEY).replaceAll("=", "")}`;
const LONG_KEY = `https://login.example.com|${"x".repeat(200)}`;

/** A store that answers later, and lists. */
function store(): SpyBackend & OidcCredentialsBackend {
  const spy = new SpyBackend();
  spy.before = () => new Promise((resolve) => setTimeout(resolve));
  return Object.assign(spy, {
    async *list() {
      yield* spy.rows.keys();
    },
  });
}

/** What the program prints, and its exit code. Standard output takes a few bytes at a time. */
async function run(backend: OidcCredentialsBackend, action: string, input: string) {
  const written: number[] = [];
  const { args } = Deno;
  const { writeSync } = Deno.stdout;
  const readable = Object.getOwnPropertyDescriptor(Deno.stdin, "readable");
  Object.defineProperty(Deno, "args", { value: ["--store", action], configurable: true });
  Object.defineProperty(Deno.stdin, "readable", {
    value: new Blob([input]).stream(),
    configurable: true,
  });
  Deno.stdout.writeSync = (bytes) =>
    written.push(...bytes.subarray(0, 7)) && Math.min(7, bytes.length);
  try {
    await serveHelper(backend);
    const stdout = new TextDecoder().decode(Uint8Array.from(written));
    return { stdout, code: Deno.exitCode };
  } finally {
    Object.assign(Deno.stdout, { writeSync });
    Object.defineProperty(Deno, "args", { value: args, configurable: true });
    if (readable) Object.defineProperty(Deno.stdin, "readable", readable);
    else Reflect.deleteProperty(Deno.stdin, "readable");
    Deno.exitCode = 0;
  }
}

const ABSENT = { stdout: "credentials not found in native keychain\n", code: 1 };
const DONE = { stdout: "", code: 0 };

for (const key of [KEY, LONG_KEY]) {
  Deno.test(`serveHelper: an entry is stored, listed, given and erased: ${key.slice(0, 40)}`, async () => {
    const backend = store();
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
    const hash = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
    const ServerURL = key === KEY ? SHORT : `${ADDRESS}.${hash}`;
    const row = key === KEY ? entry() : { key, entry: entry() };
    const account = { ServerURL, Username: "my-app", Secret: JSON.stringify(row) };
    assertEquals(await run(backend, "get", ServerURL), ABSENT);
    assertEquals(await run(backend, "erase", ServerURL), DONE);
    assertEquals(await run(backend, "store", JSON.stringify(account)), DONE);
    assertEquals([...backend.rows], [[key, entry()]]);
    const listed = await run(backend, "list", "");
    assertEquals(JSON.parse(listed.stdout), { [ServerURL]: "validmind-auth" });
    const { stdout, code } = await run(backend, "get", `${ServerURL}\n`);
    assertEquals([JSON.parse(stdout), code], [account, 0]);
    assertEquals(await run(backend, "erase", ServerURL), DONE);
    assertEquals(backend.rows.size, 0);
  });
}

Deno.test("serveHelper: what is asked wrongly, or fails, ends with code 1 and a reason without secrets", async () => {
  const fail = (error: Error) => ({ ...minimal(), get: () => Promise.reject(error) });
  const locked = new CredentialsBackendError("backend_locked", "Cannot read: held. Wait.");
  const account = (Secret: unknown) => JSON.stringify({ ServerURL: SHORT, Secret });
  const cases: [OidcCredentialsBackend, action: string, input: string, words: string][] = [
    [store(), "get", "https://index.docker.io/v1/", `ServerURL does not begin with ${ADDRESS}`],
    [store(), "store", "{}", "ServerURL does not begin with"],
    [store(), "store", account("no JSON"), "Secret is not an entry in JSON"],
    [store(), "store", account(7), "Secret is not an entry in JSON"],
    [store(), "version", SHORT, "Usage: get|store|erase|list"],
    [minimal(), "list", "", "the store has no list()"],
    [fail(locked), "get", SHORT, "Cannot read: held. Wait."],
    [fail(new Error(`bad ${entry().access_token}`)), "get", SHORT, "its words are left out"],
  ];
  for (const [backend, action, input, words] of cases) {
    const { stdout, code } = await run(backend, action, input);
    assertNoSecret(stdout);
    assert(stdout.includes(words) && stdout.endsWith("\n"), stdout);
    assertEquals(code, 1);
  }
  let isClosed = false;
  await run({ ...minimal(), close: () => void (isClosed = true) }, "get", SHORT);
  assertEquals(isClosed, true);
  const wrong = () => serveHelper({} as OidcCredentialsBackend);
  await rejectsWith("invalid_backend", wrong, "serveHelper()");
});
