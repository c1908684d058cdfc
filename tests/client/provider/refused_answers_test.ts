import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createSession, type ValidMindAuthErrorCode } from "@validmind/auth";
import { assertNoSecret, rememberSecret } from "../../support/assert_no_secret.ts";
import { startBrowserFlow } from "../../support/browser_flow.ts";
import { json } from "../../support/http_server.ts";
import { renew, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { spyFetch } from "../../support/spy_fetch.ts";

type Form = (code: string, said: string) => object;
const okta: Form = (errorCode, said) => ({ errorCode, errorSummary: `${said}.` });
const ping: Form = (code, said) => ({ code, message: `${said}.` });
const google: Form = (status, message) => ({ error: { code: 400, message, status } });
const aws: Form = (__type, message) => ({ __type, message });
const gateway: Form = (_, message) => ({ message });

/** Errors without a text `error`, whose code and text are those of the message. */
const FORMS: [what: string, status: number, Form, code: string, said: string, remedy?: string][] = [
  ["Okta", 401, okta, "invalid_client", "Invalid value for 'client_id' parameter", "clientId"],
  ["Okta, a bad request", 400, okta, "E0000003", "The request body was not well-formed"],
  ["Ping", 400, ping, "INVALID_REQUEST", "It failed"],
  ["Google", 400, google, "INVALID_ARGUMENT", "Invalid client", "clientId"],
  ["AWS", 400, aws, "ResourceNotFoundException", "User pool client does not exist", "clientId"],
  ["a gateway", 403, gateway, "status 403", "Forbidden"],
];

for (const [what, status, form, code, said, remedy = ""] of FORMS) {
  test(`refused answers: the error of ${what} is a refusal by its own words`, async (world) => {
    world.provider.script.device.push(() => json(form(code, said), status));
    const run = () => world.signIn({ flow: "device" });
    await rejectsWith("provider_refused", run, `${code} (${said})`, remedy);
  });
}

test("refused answers: an error of an API that says to wait has its words and its pause", async (world) => {
  const body = { errorCode: "E0000047", errorSummary: "API call exceeded rate limit." };
  world.provider.script.device.push(() =>
    new Response(JSON.stringify(body), { status: 429, headers: { "retry-after": "7" } })
  );
  const words = ["E0000047: API call exceeded rate limit", "Try again later"];
  const error = await rejectsWith("provider_unavailable", () => world.signIn(), ...words);
  assertEquals([error.kind, (error as { retryAfterMs?: number }).retryAfterMs], ["fault", 7000]);
});

const TOKENS = { access_token: "hidden-1", refresh_token: "hidden-2" };
const page = () =>
  new Response("<html>hidden-1</html>", { headers: { "content-type": "application/json" } });
const long = (words: string, times: number) => () =>
  json({ error: "E1", error_description: words.repeat(times) }, 400);

/** Answers to a refresh that contradict themselves. None shows a token. */
const HOSTILE: [what: string, answer: () => Response, code: ValidMindAuthErrorCode][] = [
  ["200 with an error beside tokens", () => json({ error: "E1", ...TOKENS }), "login_required"],
  [
    "200 with an error that is an object beside tokens",
    () => json({ error: { status: "E1" }, ...TOKENS }),
    "login_required",
  ],
  ["HTML with a JSON type", page, "provider_unavailable"],
  ["an error of ten megabytes", long("hidden-1", 1_250_000), "provider_unavailable"],
  ["an error of three megabytes", long("client ", 450_000), "login_required"],
  ["a bare error object", () => json({ error: {} }, 400), "provider_unavailable"],
];

for (const [what, answer, code] of HOSTILE) {
  test.signedIn(`refused answers: ${what} stays an error, and the entry stays`, async ({ session, ...world }) => {
    for (const token of ["hidden-1", "hidden-2"]) rememberSecret(token);
    const before = world.stored();
    world.provider.script.token.push(answer);
    const error = await rejectsWith(code, () => renew(session));
    assertNoSecret(error, ["hidden-1", "hidden-2"]);
    assertEquals(error.message.length < 2000, true);
    assertEquals(world.stored(), before);
  });
}

const POLICY = "Policy evaluation failed for this request";
const ASSIGNED = "User is not assigned to the client application.";
/** What the address of the browser's answer says, and the remedy. */
const PAGES: [error: string, words: string, code: ValidMindAuthErrorCode, remedy: string][] = [
  ["server_error", "", "provider_unavailable", "Try again later"],
  ["access_denied", POLICY, "authorization_denied", "access policy"],
  ["access_denied", ASSIGNED, "authorization_denied", "assign you"],
  ["access_denied", "AADSTS53003: Access has been blocked", "authorization_denied", "Conditional"],
  ["invalid_resource", "MSIS9611", "provider_refused", "Check audience"],
  ["something_else", "whatever", "provider_refused", "Check the options of the request"],
];

for (const [error, error_description, code, remedy] of PAGES) {
  test(`refused answers: ${error} (${error_description}) by redirect has its remedy`, async (world) => {
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const { answer, session } = await startBrowserFlow(world);
    const failed = rejectsWith(code, () => session, error, remedy);
    await (await fetch(answer({ error, error_description }))).body?.cancel();
    await failed;
  });
}

test("refused answers: the way around a policy against codes is named once", async (world) => {
  for (const error_description of ["AADSTS53003: Access has been blocked", ""]) {
    const body = { error: "access_denied", error_description };
    world.provider.script.token.push(() => json(body, 400));
    const { remedy } = await rejectsWith("device_code_denied", () => world.signIn());
    assertEquals(remedy.split("VM_OIDC_FLOW").length, 2, remedy);
  }
});

test("refused answers: an API that is not known leads to the audience", async (world) => {
  const { provider } = world;
  const job = { flow: "client_credentials", clientSecret: "x9-Qwz7-Pk4-Lm2" } as const;
  const { onDeviceCode: _, ...options } = { ...world.options, ...job };
  for (const said of ["Service not found: https://api", "Service not enabled within domain: x"]) {
    const body = { error: "access_denied", error_description: said };
    provider.script.token.push(() => json(body, 403));
    const run = () => createSession(options);
    const error = await rejectsWith("provider_refused", run, "Check audience");
    assertEquals(error.kind, "refused");
  }
});

test("refused answers: an assertion for another audience leads to its audience", async (world) => {
  const clientAssertion = [{ alg: "RS256" }, { aud: "other" }, {}]
    .map((part) => btoa(JSON.stringify(part)).replaceAll("=", "")).join(".");
  const job = { flow: "client_credentials", clientAssertion } as const;
  const { onDeviceCode: _, ...options } = { ...world.options, ...job };
  for (const said of ["Invalid token audience", "Audience of the assertion not found"]) {
    const body = { error: "invalid_client", error_description: said };
    world.provider.script.token.push(() => json(body, 401));
    const run = () => createSession(options);
    const error = await rejectsWith("provider_refused", run, "audience (aud)", "clientAssertion");
    assertEquals([error.kind, /public|Check audience/.test(error.message)], ["client", false]);
  }
});

/** Answers of an API, or of a page, that was given as the issuer. */
const NO_PROVIDER: (() => Response)[] = [
  () => json({ message: "Unauthorized" }, 401),
  () => json({ message: "Missing Authentication Token" }, 403),
  () => new Response("<html>Welcome", { headers: { "content-type": "text/html" } }),
];

test("refused answers: an API's address as the issuer is doubted", async (world) => {
  for (const answer of NO_PROVIDER) {
    world.provider.script.discovery.push(answer);
    const words = ["Check issuer (VM_OIDC_ISSUER, --issuer)", "not the API's"];
    const error = await rejectsWith("provider_unavailable", () => world.signIn(), ...words);
    assertEquals(error.kind, "fault");
  }
});

/** Discovery documents that cannot be used. */
const BROKEN: (() => Response)[] = [
  () => json([]),
  () => json({}),
  () => json({ issuer: 7 }),
  () => json({ issuer: "https://other.example.com" }),
  () => json({ error: 1 }, 302),
  () => new Response("{", { headers: { "content-type": "application/json" } }),
];

test("refused answers: broken metadata is not told in the words of a library", async (world) => {
  for (const answer of BROKEN) {
    world.provider.script.discovery.push(answer, answer);
    const error = await world.signIn().catch((thrown) => thrown);
    assert(/^provider_(invalid|unavailable)$/.test(error.code), error);
    assertEquals(
      /"response"|conform|JSON attribute|parse/.test(error.message),
      false,
      error.message,
    );
    world.provider.script.discovery.length = 0;
  }
});

test("refused answers: a server error about the client leads to the client", async (world) => {
  // ZITADEL's library answers so where it does not know the client.
  const body = { error: "server_error", error_description: "client not found" };
  world.provider.script.device.push(() => json(body, 500));
  const words = ["client not found", "Check clientId (VM_OIDC_CLIENT_ID"];
  const error = await rejectsWith("provider_unavailable", () => world.signIn(), ...words);
  assertEquals(error.kind, "fault");
});

test("refused answers: of two ways of proof the first refusal is told", async (world) => {
  world.provider.discovery = {
    token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
  };
  const first = { error: "invalid_client", error_description: "wrong secret" };
  // zitadel answers so where its client has the other way.
  const second = { error: "unauthorized_client", error_description: "this grant is not allowed" };
  world.provider.script.device.push(() => json(first, 401), () => json(second, 400));
  const run = () => world.signIn({ clientSecret: "x9-Qwz7-Pk4-Lm2" });
  const error = await rejectsWith("provider_refused", run, "wrong secret", "is its secret");
  assertEquals([error.kind, error.oauthError], ["client", "invalid_client"]);
});

test("refused answers: an answer without a word doubts the client and the grant", async (world) => {
  world.provider.script.device.push(() => new Response(null, { status: 401 }));
  const words = ["401 and no text", "Check clientId", "device code grant"];
  const run = () => world.signIn({ flow: "device" });
  const error = await rejectsWith("provider_refused", run, ...words);
  assertEquals([error.kind, error.oauthError], ["flow", undefined]);
});

test("refused answers: a client with a secret whose DPoP proof fails looks at the clock", async (world) => {
  for (const error of ["invalid_dpop_proof", "invalid_request"]) {
    const body = { error, error_description: "DPoP proof is not active" };
    world.provider.script.device.push(() => json(body, 400));
    const run = () => world.signIn({ clientSecret: "x9-Qwz7-Pk4-Lm2" });
    const { message } = await rejectsWith("provider_refused", run, "this computer's clock");
    assertEquals(message.includes("is its secret"), false);
  }
});

test.signedIn("refused answers: every form goes out without a charset beside its type", async ({ session, ...world }) => {
  await renew(session);
  await session.clear({ revoke: true });
  const posts = world.provider.requests.filter(({ method }) => method === "POST");
  const types = new Set(posts.map(({ headers }) => headers["content-type"]));
  assertEquals(types, new Set(["application/x-www-form-urlencoded"]));
});

/** The issuer in the document of RFC 8414, and the end of a sign-out. */
const METADATA: [issuer: (own: string) => string, outcome: string][] = [
  [(own) => own, "revoked"],
  [(own) => `${own}ther`, "not_supported"],
];

for (const [stated, outcome] of METADATA) {
  Deno.test(`revocation: an endpoint in the document of RFC 8414 alone, of ${stated("o")}: ${outcome}`, async () => {
    await using world = await scriptedProviderWorld({ path: "/o" });
    const { provider } = world;
    provider.discovery = { revocation_endpoint: undefined };
    const fetched = spyFetch((url, init) => {
      const isIt = new URL(url).pathname === "/o/.well-known/oauth-authorization-server";
      const revocation_endpoint = `${provider.issuer}/revoke`;
      return isIt
        ? json({ issuer: stated(provider.issuer), revocation_endpoint })
        : fetch(url, init);
    });
    const session = await world.signIn({ fetch: fetched });
    const { access_token } = world.stored();
    const { revocation } = await session.clear({ revoke: true });
    assertEquals(revocation, outcome);
    assertEquals(provider.isActive(access_token), outcome !== "revoked");
  });
}

const TIME = "its certificate is not valid at this computer's time";
const VERIFIED = "verification time 1796128063 (UNIX), but certificate is not valid";
/** What Deno says of a certificate, and what is told of it. */
const CERTIFICATES: [text: string, reason: string, remedy: string][] = [
  [`certificate expired: ${VERIFIED} after 1`, TIME, "this computer's clock"],
  [`certificate not valid yet: ${VERIFIED}`, TIME, "this computer's clock"],
  [
    'certificate not valid for name "localhost"; certificate is only valid for DnsName("other")',
    "its certificate is for another host",
    "no network or proxy answers",
  ],
];

for (const [text, reason, remedy] of CERTIFICATES) {
  test(`refused answers: no authority helps where ${reason} (${text.slice(0, 25)})`, async (world) => {
    const cause = new Error(`client error (Connect): invalid peer certificate: ${text}`);
    const failing = spyFetch(() => Promise.reject(new TypeError("fetch failed", { cause })));
    const run = () => world.signIn({ fetch: failing });
    const { message } = await rejectsWith("provider_unavailable", run, reason, remedy);
    assertEquals(message.includes("DENO_CERT"), false);
    assertStringIncludes(message, "Check issuer");
  });
}
