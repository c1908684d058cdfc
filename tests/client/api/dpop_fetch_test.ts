import { assert, assertEquals } from "@std/assert";
import { createSession, type Session } from "@validmind/auth";
import { type HttpHandler, json, startHttpServer } from "../../support/http_server.ts";
import { dpopProviderWorld, readProof } from "../../support/dpop_provider_world.ts";
import { scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { finish } from "./api_test_context.ts";

interface Context {
  session: Session;
  requests: Request[];
  origin: string;
}

/** A session with bound tokens for an API that answers what `handle` says, or an empty object. */
function dpopTest(
  name: string,
  run: (context: Context) => Promise<void>,
  handle: HttpHandler = () => json({}),
): void {
  Deno.test(`dpop at the API: ${name}`, async () => {
    await using world = await scriptedProviderWorld({
      discovery: { dpop_signing_alg_values_supported: ["ES256"] },
    });
    const requests: Request[] = [];
    await using api = await startHttpServer((request) => {
      requests.push(request);
      return handle(request);
    });
    const { provider: { script, tokens }, options } = world;
    script.token.push(() => tokens.call(world.provider, { token_type: "DPoP" }));
    const { origin } = api;
    const session = await createSession({ ...options, apiHost: `${origin}/`, dpop: true });
    await run({ session, requests, origin });
  });
}

const challenge = () =>
  json({}, 401, { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "nonce-1" });

const proofOf = (request: Request) => readProof(request.headers.get("dpop")!);
const nonces = (requests: Request[]) => requests.map((request) => proofOf(request).claims.nonce);

dpopTest("each request has a proof of its own for method, URL and token", async (context) => {
  const { session, requests, origin } = context;
  await finish(session.fetch("a?b=c#d"));
  await finish(session.fetch("a", { method: "post", body: "text" }));
  const token = await session.accessToken();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const ath = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
  const [first, second] = requests.map(proofOf);
  const { iat, jti, ...claims } = first!.claims;
  assertEquals(claims, { htm: "GET", htu: `${origin}/a`, ath });
  assert(Math.abs(Number(iat) - Date.now() / 1000) < 60);
  assertEquals([second!.claims.htm, second!.claims.jti === jti], ["POST", false]);
  const { kty, crv } = first!.jwk;
  assertEquals([kty, crv, "d" in first!.jwk], ["EC", "P-256", false]); // the public half alone
  assertEquals(requests[0]!.headers.get("authorization"), `DPoP ${token}`);
});

dpopTest("a nonce is sent when it is asked for, and from then on", async (context) => {
  const { session, requests } = context;
  const options = { method: "POST", body: "text" };
  assertEquals(await finish(session.fetch("a", options)), 200);
  assertEquals(await finish(session.fetch("a", options)), 200);
  assertEquals(nonces(requests), [undefined, "nonce-1", "nonce-1"]);
}, (request) => proofOf(request).claims.nonce === "nonce-1" ? json({}) : challenge());

let serial = 0;
dpopTest("a nonce that comes with an answer is used for the next request", async (context) => {
  for (let i = 0; i < 3; i++) await finish(context.session.fetch("a"));
  assertEquals(nonces(context.requests), [undefined, "nonce-1", "nonce-2"]);
}, () => json({}, 200, { "dpop-nonce": `nonce-${++serial}` }));

dpopTest("a second challenge is the answer, and costs no refresh", async (context) => {
  const before = await context.session.accessToken();
  assertEquals([await finish(context.session.fetch("a")), context.requests.length], [401, 2]);
  assertEquals(await context.session.accessToken(), before);
}, challenge);

dpopTest("any other refusal is the answer", async ({ session, requests }) => {
  assertEquals([await finish(session.fetch("a")), requests.length], [403, 1]);
}, () => json({}, 403, { "www-authenticate": "Bearer" }));

dpopTest("a stream that meets a challenge is to be sent anew, and no more", async (context) => {
  const { session, requests } = context;
  const run = () => session.fetch("thing", { method: "POST", body: new Blob(["x"]).stream() });
  const words = "which cannot be sent again: send it with a new stream";
  const error = await rejectsWith("unauthorized", run, words);
  assertEquals([error.message.includes("forceRefresh"), requests.length], [false, 1]);
}, challenge);

dpopTest("a redirect gets a new proof on the same origin, none on another", async (context) => {
  const { session, requests, origin } = context;
  await using other = await startHttpServer(({ headers }) => {
    return json([headers.has("authorization"), headers.has("dpop")]);
  });
  await finish(session.fetch("a?to=/b"));
  const urls = requests.map((request) => proofOf(request).claims.htu);
  assertEquals(urls, [`${origin}/a`, `${origin}/b`]);
  const elsewhere = await session.fetch(`a?to=${encodeURIComponent(other.origin)}`);
  assertEquals(await elsewhere.json(), [false, false]);
}, (request) => {
  const to = new URL(request.url).searchParams.get("to");
  return to === null ? json({}) : new Response(null, { status: 307, headers: { location: to } });
});

Deno.test("session with dpop: headers() wants to know the request, and is good for that", async () => {
  await using world = await dpopProviderWorld();
  const session = await createSession(world.options);
  await rejectsWith("dpop_request_needed", () => session.headers(), "{ method, url }");
  await rejectsWith("dpop_request_needed", () => session.headers({ method: "GET" }));
  for (const url of ["me", new URL("me", session.apiHost)]) {
    const headers = await session.headers({ url });
    const response = await fetch(`${session.apiHost}me`, { headers });
    assertEquals((await response.json()).sub, "analyst@example.com");
    assert(await finish(fetch(`${session.apiHost}me`, { method: "POST", headers })) >= 400);
  }
  const { claims } = readProof((await session.headers({ url: "x", method: "patch" })).get("dpop")!);
  assertEquals(claims.htm, "PATCH");
  const { apiHost: _, ...options } = world.options;
  const anywhere = await createSession({ ...options, interactive: false });
  const headers = await anywhere.headers({ url: "https://api.example.com/thing" });
  assertEquals(readProof(headers.get("dpop")!).claims.htu, "https://api.example.com/thing");
  await rejectsWith("insecure_url", () => anywhere.headers({ url: "http://api.example.com/" }));
  await rejectsWith("invalid_options", () => anywhere.headers({ url: "thing" }), "the URL");
});

test.signedIn("session: headers() are for the API's own origin only", async ({ session }) => {
  await rejectsWith("wrong_origin", () => session.headers({ url: "https://example.com/" }));
  const bearer = await session.headers({ url: "thing", method: "POST" });
  assertEquals([...bearer.keys()], ["authorization"]);
  await rejectsWith("invalid_options", () => session.headers({ uri: "thing" } as object), "uri");
});

test.signedIn("session: the signal of headers() ends the wait for a token", async ({ session, ...world }) => {
  world.clock.advance(3600_000);
  const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<undefined>()];
  world.provider.script.token.push(() => (arrived.resolve(), gate.promise));
  const controller = new AbortController();
  const waiting = session.headers({ signal: controller.signal }).catch((reason) => reason);
  await arrived.promise;
  controller.abort("enough");
  assertEquals(await waiting, "enough");
  gate.resolve(undefined); // the refresh itself goes on, and serves the next one
  await session.headers();
});
