import { assert, assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "../../../client/errors.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { startBrowserFlow } from "../../support/browser_flow.ts";
import { json } from "../../support/http_server.ts";
import { answerWith, renew, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Tokens with characters that every encoding changes, and that share nothing with other text. */
const ACCESS = "a7Qx+9mZ/2vKw=4Lr8~Vb1";
const REFRESH = "r3Bn+6yHs/1Jd=5Gf0~Kq8";
const ASSERTION = "h2Wd5cXe7Jz.q8Rk4tBv9Mu.n3Ls6yPa1Fo";
const CODE = "c5Tz+1bGm/7Ny=2Ev9~Wj3";

type Echo = (secret: string) => Record<string, unknown>;

const ECHOES: [what: string, echo: Echo][] = [
  ["as the error", (secret) => ({ error: secret })],
  ["in the description", (secret) => ({ error_description: `unknown token ${secret}.` })],
  ["cut short", (secret) => ({ error_description: `unknown: ${secret.slice(0, 15)}…` })],
  ["percent-encoded in lower case", (secret) => ({
    error_description: encodeURIComponent(secret).replace(/%../g, (each) => each.toLowerCase()),
  })],
];

function echoed(
  echo: Echo,
  form: URLSearchParams,
  names: string[],
  { status = 400, error = "invalid_request" as unknown } = {},
): Response {
  const [secret = ""] = names.flatMap((name) => form.get(name) ?? []);
  assert(secret.length > 10);
  return json({ error, ...echo(secret) }, status);
}

/** Forms of an answer that decides nothing, whose words are told. */
const FAULTS = [
  { status: 500, error: "server_error" },
  { status: 503, error: undefined },
  { status: 500, error: { code: 17 } },
];

for (const [what, echo] of ECHOES) {
  Deno.test(`echo: a token ${what} of a refusal or a fault`, async () => {
    await using world = await scriptedProviderWorld({ requirePkce: true });
    const { device, token, revocation } = world.provider.script;
    const session = await world.signIn();
    world.amend({ refresh_token: REFRESH });
    const force = () => renew(session);
    for (const fault of FAULTS) {
      token.push((_, form) => echoed(echo, form, ["refresh_token"], fault));
      assertNoSecret(await rejectsWith("provider_unavailable", force, "status 50"), [REFRESH]);
    }
    token.push((_, form) => echoed(echo, form, ["refresh_token"]));
    assertNoSecret(await rejectsWith("login_required", force), [REFRESH]);

    const secrets: string[] = [];
    for (const name of ["device_code", "code_verifier"]) {
      token.push((_, form) => {
        secrets.push(form.get(name)!);
        return echoed(echo, form, [name]);
      });
      const start = () => world.signIn({ profile: "other" });
      assertNoSecret(await rejectsWith("provider_refused", start), secrets);
    }
    assertEquals(secrets.length, 2);
    device.push((_, form) => echoed(echo, form, ["client_assertion"]));
    const prove = () => world.signIn({ profile: "third", clientAssertion: () => ASSERTION });
    assertNoSecret(await rejectsWith("provider_refused", prove), [ASSERTION]);

    const { issuer, discovery } = world.provider;
    discovery.authorization_endpoint = `${issuer}/authorize`;
    discovery.pushed_authorization_request_endpoint = `${issuer}/token`;
    const { answer, session: waiting } = await startBrowserFlow(world, { profile: "fourth" });
    token.push((_, form) => echoed(echo, form, ["code"]));
    await (await fetch(answer({ code: CODE }))).body?.cancel();
    assertNoSecret(await rejectsWith("provider_refused", () => waiting), [CODE]);
    discovery.require_pushed_authorization_requests = true;
    token.push((_, form) => echoed(echo, form, ["id_token_hint"]));
    const authorizationParameters = { id_token_hint: ASSERTION };
    const push = () => startBrowserFlow(world, { profile: "fifth", authorizationParameters });
    assertNoSecret(await rejectsWith("provider_refused", push), [ASSERTION]);

    for (const entry of [{ refresh_token: REFRESH }, { refresh_token: null }]) {
      const session = await world.signIn();
      world.amend({ access_token: ACCESS, ...entry });
      revocation.push((_, form) => echoed(echo, form, ["token"]));
      const result = await session.clear({ revoke: true });
      assertEquals([result.revocation, result.keys.length], ["failed", 1]);
      assertNoSecret(result, [ACCESS, REFRESH]);
    }
  });
}

const API_ECHOES: [what: string, text: (secret: string) => string][] = [
  ["as it is", (secret) => `bad token ${secret} sent`],
  ["cut short", (secret) => `bad token ${secret.slice(0, 16)}… sent`],
  ["as JSON", (secret) => JSON.stringify({ token: `Bearer ${secret}` })],
  ["across the end of the excerpt", (secret) => "x".repeat(1990) + secret],
];

for (const [what, text] of API_ECHOES) {
  test(`echo: the bearer ${what} in an API's answer`, async (world) => {
    answerWith(world, { access_token: ACCESS });
    const session = await world.signIn();
    for (const use of [() => session.get("thing"), () => session.post("thing", { json: {} })]) {
      // A good answer, which is JSON, is the caller's.
      for (const status of what === "as JSON" ? [400] : [200, 400]) {
        world.api.script.push(() => new Response(text(ACCESS), { status }));
        assertNoSecret(await assertRejects(use, ApiError), [ACCESS]);
      }
    }
  });
}

test("echo: a token in the granted scope is not shown", async (world) => {
  answerWith(world, { access_token: ACCESS, scope: `openid ${ACCESS}` });
  assertNoSecret(await (await world.signIn()).status(), [ACCESS]);
});

test("echo: of all that the session knows, in a provider's and an API's words", async (world) => {
  const session = await world.signIn({ clientSecret: "s3Pq+8nVt/4Xw=6Hc2~Uf0" });
  const known: string[] = [...tokensOf(world.stored()), "s3Pq+8nVt/4Xw=6Hc2~Uf0"];
  for (let round = 0; round < 3; round++) {
    const error_description = known.join(" ");
    world.provider.script.token.push(() => json({ error: "odd_error", error_description }, 400));
    const refresh = () => renew(session);
    assertNoSecret(await rejectsWith("login_required", refresh, "odd_error"), known);
    world.clock.advance(60_000); // not tried again earlier
    world.provider.script.token.push(() => json({ error: "server_error", error_description }, 500));
    assertNoSecret(await rejectsWith("provider_unavailable", refresh, "server_error"), known);
    for (const type of known) {
      const headers = { "content-type": `text/${type}` };
      world.provider.script.token.push(() => new Response("no", { headers }));
      assertNoSecret(await rejectsWith("provider_unavailable", refresh, "no usable JSON"), known);
    }
    world.api.script.push(() => new Response(known.join(" "), { status: 400 }));
    assertNoSecret(await assertRejects(() => session.get("thing"), ApiError), known);
    await refresh(); // the former tokens stay known
    known.push(...tokensOf(world.stored()));
  }
  const elsewhere = `http://localhost:1/${known.map(encodeURIComponent).join("/")}`;
  world.api.script.push(() => Response.redirect(elsewhere));
  assertNoSecret(await rejectsWith("api_unreachable", () => session.get("thing")), known);
  world.api.script.push(() => Response.redirect(`http://${known[1]}.invalid`)); // in small letters then
  const error = await rejectsWith("api_unreachable", () => session.get("thing"), "removed].inv");
  assertNoSecret(error, [known[1]!.toLowerCase()]);
  const permitted = await world.signIn({
    fetch: (url, init) => {
      const isDenied = `${url}`.includes(".invalid");
      return isDenied ? Promise.reject(new Deno.errors.NotCapable()) : fetch(url, init);
    },
  });
  const [token] = tokensOf(world.stored());
  world.api.script.push(() => Response.redirect(`http://${token}.invalid`));
  const denied = await rejectsWith(
    "permission_required",
    () => permitted.get("thing"),
    "removed].inv",
  );
  assertNoSecret(denied, [token!, token!.toLowerCase()]);
  world.api.script.push(
    () => new Response("no", { status: 401 }),
    () => new Response(known.join(" "), { status: 400 }),
  );
  assertNoSecret(await assertRejects(() => session.get("thing"), ApiError), known);
});

test.signedIn("echo: the tokens of a refused answer are not shown by the next one", async ({ session, ...world }) => {
  const tokens = ["access_token", "refresh_token", "id_token", "device_code"]
    .map((name, index) => [name, `${index}${ACCESS}${name}`]);
  const secrets = tokens.map(([, token]) => token!);
  const told = { error: "server_error", error_description: secrets.join(" ") };
  world.provider.script.token.push(
    () => json({ error: "odd_error", ...Object.fromEntries(tokens) }),
    () => json(told, 500),
  );
  const refresh = () => renew(session);
  assertNoSecret(await rejectsWith("login_required", refresh, "odd_error"), secrets);
  world.clock.advance(60_000); // not tried again earlier
  assertNoSecret(await rejectsWith("provider_unavailable", refresh, "server_error"), secrets);
});

test.signedIn("echo: of a token in a discovery document", async ({ stored, ...world }) => {
  const { provider, options } = world;
  const { refresh_token: known } = stored();
  for (
    const [name, code, url, words] of [
      ["issuer", "provider_invalid", `${provider.issuer}/${known}`, "removed]"],
      ["token_endpoint", "provider_unavailable", `${provider.issuer}/${known}`, "removed]"],
      ["token_endpoint", "insecure_url", `http://${known}.invalid`, "its token_endpoint"],
    ] as const
  ) {
    provider.discovery = { [name]: url };
    const session = await world.signIn(options);
    const error = await rejectsWith(code, () => renew(session), words);
    assertNoSecret(error, [`${known}`, `${known}`.toLowerCase()]);
  }
});

/** What an HTTP client throws that puts the whole request on its errors. */
class ClientError extends Error {
  readonly request: RequestInit;
  constructor(request: RequestInit) {
    super("it failed", { cause: { headers: Object.fromEntries(new Headers(request.headers)) } });
    this.request = request;
  }
}

test("echo: the cause of a failed request has the words of the caller's fetch, and not the request that it carries", async (world) => {
  let isBroken = false;
  let errors = 0;
  const fetch = spyFetch(async (url, init) => {
    if (!isBroken) return await globalThis.fetch(url, init);
    if (url.endsWith("/jwks")) throw new TypeError("it failed"); // beside a refresh
    const sent = init.body instanceof Blob ? await init.body.text() : init.body;
    errors++;
    throw errors % 2 === 1
      ? new ClientError({ ...init, body: sent! })
      : new TypeError(`it failed: ${new Headers(init.headers).get("authorization")} ${sent}`);
  });
  const session = await world.signIn({ fetch });
  const secrets = tokensOf(world.stored());
  isBroken = true;
  for (let time = 0; time < 2; time++) {
    for (
      const [code, use] of [
        ["provider_unavailable", () => renew(session)],
        ["api_unreachable", () => session.get("thing")],
        ["api_unreachable", () => session.post("thing", { form: { a: "1" } })],
      ] as const
    ) {
      const error = await rejectsWith(code, use, "the connection failed");
      assert((error.cause as Error).message.startsWith("it failed"));
      assertNoSecret(error, secrets);
    }
  }
  assertEquals(errors, 6);
  const result = await session.clear({ revoke: true });
  assertEquals(result.revocation, "failed");
  assertNoSecret(result, secrets);
});
