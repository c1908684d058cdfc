import { createSession } from "../../../client/create_session.ts";
import { clearOidcCredentials, getSession, init } from "../../../client/init.ts";
import type { Session } from "../../../client/session.ts";
import { setActiveSession } from "../../../client/signed_in/session.ts";
import { answerWith, HOUR, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import {
  getDefaultBackend,
  setDefaultBackend,
} from "../../../backends/resolve_credentials_backend.ts";
import { isPosix } from "../../support/sandbox.ts";
import { tempDir, withTempHome } from "../../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../../support/tracking_api.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";

test("session: status tells who, until when, and where, without network", async (world) => {
  const session = await world.signIn({ scope: "openid offline_access" });
  world.provider.reset();
  assertEquals(await session.status(), {
    kind: "oidc",
    signedIn: true,
    subject: "analyst@example.com",
    name: "Ada Analyst",
    email: "analyst@example.com",
    expiresAt: new Date(world.clock.now() + HOUR),
    refreshable: true,
    scope: "openid offline_access",
    backend: {
      name: "MemoryCredentialsBackend",
      location: "the memory of this process",
      persistent: false,
    },
  });
  assertEquals([world.provider.requests, world.api.requests], [[], []]);
});

test("session: status without ID token, refresh token and backend details", async (world) => {
  answerWith(world, { id_token: undefined, refresh_token: undefined });
  const options = { ...world.options, credentialsBackend: new SpyBackend(), scope: "openid" };
  const session = await createSession(options);
  const expiresAt = new Date(world.clock.now() + HOUR);
  const fixed = { kind: "oidc", expiresAt, refreshable: false, scope: "openid" };
  const backend = { name: "SpyBackend" };
  assertEquals(await session.status() as unknown, { ...fixed, signedIn: true, backend });
  world.clock.advance(HOUR);
  assertEquals(await session.status() as unknown, { ...fixed, signedIn: false, backend });
});

test("session: status shows no control characters of a provider or a backend", async (world) => {
  const odd = "a\x1b]0;x\x07b\u202ec\nd";
  const credentialsBackend = Object.assign(new SpyBackend(), { location: odd });
  const claims = { sub: odd, name: odd, email: `${odd}${"x".repeat(1000)}` };
  world.provider.script.token.push(async () =>
    world.provider.tokens({ id_token: await world.provider.idToken(claims) })
  );
  const session = await world.signIn({ credentialsBackend });
  const { subject, name, email, backend } = await session.status();
  for (const text of [subject, name, email, backend?.location]) {
    assertEquals(text?.startsWith("a ]0;x b c d"), true, text);
    assertEquals(text!.length <= 501, true);
  }
});

const USES: ((session: Session) => Promise<unknown>)[] = [
  (session) => session.accessToken(),
  (session) => session.headers(),
  (session) => session.fetch("thing"),
  (session) => session.get("thing"),
  (session) => session.post("thing", { json: {} }),
];

test("session: after close nothing is sent; the sign-in and the store stay", async (world) => {
  let closed = 0;
  Object.assign(world.backend, { close: () => void closed++ });
  let disposed: Session;
  {
    await using session = await world.signIn();
    disposed = session;
  }
  await rejectsWith("session_closed", () => disposed.accessToken());
  const session = await world.signIn();
  for (let i = 0; i < 3; i++) await session.get("thing"); // as a request that is kept for later
  world.api.reset();
  for (const _ of ["once", "twice"]) assertEquals(await session.close().then(), undefined);
  for (const use of USES) {
    await rejectsWith("session_closed", () => use(session), "createSession()");
  }
  assertEquals(world.api.requests, []);
  assertEquals([world.stored().client_id, closed], [world.provider.clientId, 0]);
});

test("session: headers have the bearer, and with init the model's", async (world) => {
  const plain = await world.signIn();
  const authorization = `Bearer ${world.stored().access_token}`;
  (await plain.headers()).set("authorization", "Bearer other"); // changes no other's
  assertEquals([...await plain.headers()], [["authorization", authorization]]);
  const full = await init({ ...world.options, model: "m" });
  const names = [...(await full.headers()).keys()].join(" ");
  assertEquals(names, "authorization x-library-version x-model-cuid x-monitoring");
});

test("session: printed, it tells who, where and until when, and nothing that is empty", async (world) => {
  const session = await init({ ...world.options, model: "cl123" });
  const expiresAt = Deno.inspect(new Date(world.clock.now() + 3600_000));
  assertEquals(
    Deno.inspect(session),
    `Session {
  signedIn: "analyst@example.com",
  issuer: "${world.provider.issuer}",
  apiHost: "${world.api.apiHost}",
  model: "cl123",
  backend: "MemoryCredentialsBackend: the memory of this process",
  validUntil: ${expiresAt}
}`,
  );
  await session.clear();
  assertStringIncludes(Deno.inspect(session), "signedIn: false");
  const { kind, signedIn, refreshable, subject } = await session.status();
  assertEquals([kind, signedIn, refreshable, subject], ["oidc", false, false, undefined]);
});

test("session: printed, the person has the best name that is known", async (world) => {
  const { provider } = world;
  const [email, name] = [undefined, undefined];
  const person = { sub: "s-1", name: "Ada", email: "ada@example.com" };
  const names = [[{}, person.email], [{ email }, "Ada"], [{ email, name }, "s-1"]] as const;
  for (const [claims, who] of names) {
    const id_token = await provider.idToken({ ...person, ...claims });
    provider.script.token.push(() => provider.tokens({ id_token }));
    const session = await world.signIn({ profile: who.replace("@", "-") });
    assertStringIncludes(Deno.inspect(session), `signedIn: "${who}"`);
  }
  provider.script.token.push(() => provider.tokens({ id_token: undefined }));
  assertStringIncludes(Deno.inspect(await world.signIn()), "signedIn: true");
});

Deno.test("session: with an API key it shows that, and no key", async () => {
  const key = { apiKey: "key-of-somebody", apiSecret: "secret-of-somebody" };
  const session = await createSession({ ...key, apiHost: "http://localhost:1/" });
  assertEquals(Deno.inspect(session), `Session { apiKey: true, apiHost: "http://localhost:1/" }`);
});

const KEY = { apiKey: "test-api-key", apiSecret: "test-api-secret" };

/** Runs without variables, with a home and a backend that must not be touched. */
async function untouched(run: (api: TrackingApi) => Promise<void>): Promise<void> {
  await using api = await startTrackingApi();
  await withTempHome(async (home) => {
    const backend = new SpyBackend();
    setDefaultBackend(backend);
    try {
      await run(api);
      assertEquals([backend.calls, [...Deno.readDirSync(home)]], [[], []]);
      assertEquals(getDefaultBackend(), backend);
    } finally {
      setDefaultBackend(undefined);
      setActiveSession(undefined);
    }
  });
}

Deno.test("API key: the ping carries key, secret and the model's headers, and no bearer", async () => {
  await untouched(async (api) => {
    const session = await init({ ...KEY, apiHost: api.apiHost, model: "cl-1", document: "d" });
    const { headers } = api.requests[0]!;
    assertEquals(headers["x-api-key"], KEY.apiKey);
    assertEquals(headers["x-api-secret"], KEY.apiSecret);
    assertEquals([headers["x-model-cuid"], headers["x-monitoring"]], ["cl-1", "False"]);
    assertEquals(headers["x-document-type"], "d");
    assertEquals("authorization" in headers, false);
    const { issuer, clientId, backend } = session;
    assertEquals([issuer, clientId, backend], [undefined, undefined, undefined]);
    assertEquals(session.info?.model.name, "Credit Risk Model");
    assertEquals(await session.status(), { kind: "api_key", signedIn: true });
    assertEquals(getSession(), session);
  });
});

Deno.test("API key: the secret comes from a file that is closed to others, and an option wins", async () => {
  await untouched(async (api) => {
    await using dir = await tempDir();
    const apiSecretFile = `${dir.path}/secret`;
    await Deno.writeTextFile(apiSecretFile, `${KEY.apiSecret}\n`, { mode: 0o600 });
    Deno.env.set("VM_API_SECRET", "of the shell");
    const options = { apiKey: KEY.apiKey, apiHost: api.apiHost };
    await (await createSession({ ...options, apiSecretFile })).get("thing");
    Deno.env.delete("VM_API_SECRET");
    Deno.env.set("VM_API_SECRET_FILE", apiSecretFile);
    await (await createSession(options)).get("thing");
    const sent = KEY.apiSecret;
    assertEquals(api.requests.map(({ headers }) => headers["x-api-secret"]), [sent, sent]);
    const rows: [text: string, mode: number, code: AnyErrorCode, ...words: string[]][] = [
      ["", 0o600, "client_auth_unusable", "empty", "VM_API_SECRET_FILE"],
      ["a\nb", 0o600, "invalid_options", "HTTP header", "VM_API_SECRET_FILE"],
      ["a", 0o666, "client_auth_unusable", "others may write it", "chmod"],
    ];
    for (const [text, mode, code, ...words] of isPosix ? rows : rows.slice(0, 2)) {
      await Deno.writeTextFile(apiSecretFile, text);
      if (isPosix) await Deno.chmod(apiSecretFile, mode);
      await rejectsWith(code, () => createSession(options), ...words);
    }
  });
});

Deno.test("API key: clear does nothing, also through clearOidcCredentials", async () => {
  await untouched(async (api) => {
    const session = await init({ ...KEY, apiHost: api.apiHost, model: "m" });
    const nothing = { keys: [], revocation: "nothing_to_revoke" } as const;
    assertEquals(await session.clear({ revoke: true }), nothing);
    Deno.env.set("VM_API_KEY", KEY.apiKey);
    Deno.env.set("VM_API_SECRET", KEY.apiSecret);
    assertEquals(await clearOidcCredentials({ revoke: true }), nothing);
    assertEquals((await session.get("thing") as { method: string }).method, "GET");
  });
});

Deno.test("API key: one that is refused is sent once", async () => {
  await untouched(async (api) => {
    const session = await createSession({ ...KEY, apiHost: api.apiHost });
    api.reject(2);
    await rejectsWith("unauthorized", () => session.get("thing"));
    assertEquals(api.requests.length, 1);
  });
});

Deno.test("API key: an echo of key or secret is taken out of errors", async () => {
  await untouched(async (api) => {
    const session = await createSession({ ...KEY, apiHost: api.apiHost });
    api.script.push((request) =>
      new Response(JSON.stringify([...request.headers]), { status: 500 })
    );
    const error = await rejectsWith("api_error", () => session.get("thing"), "[removed]");
    assertEquals(Deno.inspect(error).includes(KEY.apiKey), false);
    assertEquals(Deno.inspect(error).includes(KEY.apiSecret), false);
  });
});
