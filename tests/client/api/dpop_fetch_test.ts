import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { generateDpopKey } from "../../../client/provider/dpop_key.ts";
import { addProof, dpopFetch } from "../../../client/api/dpop_fetch.ts";
import type { Session } from "../../../client/session.ts";
import { type HttpHandler, json, startHttpServer } from "../../support/http_server.ts";
import { dpopProviderWorld, readProof } from "../../support/dpop_provider_world.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const AUTHORIZATION = { authorization: "DPoP token-1" };

/** A server that keeps what it was asked, and answers what `handle` says, or an empty object. */
async function server(handle: HttpHandler = () => json({})) {
  const requests: Request[] = [];
  const running = await startHttpServer((request) => {
    requests.push(request);
    return handle(request);
  });
  return Object.assign(running, { requests });
}

function challenge(nonce = "nonce-1"): Response {
  return json({}, 401, {
    "www-authenticate": 'DPoP error="use_dpop_nonce"',
    "dpop-nonce": nonce,
  });
}

async function send(fetch: typeof globalThis.fetch, url: string, init: RequestInit = {}) {
  const response = await fetch(url, { headers: AUTHORIZATION, ...init });
  await response.body?.cancel();
  return response.status;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
}

function proofOf(request: Request) {
  return readProof(request.headers.get("dpop")!);
}

Deno.test("dpopFetch: each request has a proof of its own for method, URL and token", async () => {
  await using api = await server();
  const { pair, jwk } = await generateDpopKey();
  const fetch = dpopFetch(globalThis.fetch, pair);
  await send(fetch, `${api.origin}/a?b=c#d`);
  await send(fetch, `${api.origin}/a`, { method: "post", body: "text" });
  const [first, second] = api.requests.map(proofOf);
  const { iat, jti, ...claims } = first!.claims;
  assertEquals(claims, { htm: "GET", htu: `${api.origin}/a`, ath: await sha256("token-1") });
  assert(Math.abs(Number(iat) - Date.now() / 1000) < 60);
  assertEquals([second!.claims.htm, second!.claims.jti === jti], ["POST", false]);
  const { kty, crv, x, y } = jwk;
  assertEquals(first!.jwk, { kty, crv, x, y } as JsonWebKey); // the public half alone
  assertEquals(api.requests[0]!.headers.get("authorization"), "DPoP token-1");
});

Deno.test("dpopFetch: a request without a bound token goes out as it is", async () => {
  await using api = await server();
  const fetch = dpopFetch(globalThis.fetch, (await generateDpopKey()).pair);
  await send(fetch, api.origin, { headers: { authorization: "Bearer other", "x-a": "1" } });
  await send(fetch, api.origin, { headers: {} });
  assertEquals(api.requests.map(({ headers }) => headers.has("dpop")), [false, false]);
  assertEquals(api.requests[0]!.headers.get("authorization"), "Bearer other");
});

Deno.test("dpopFetch: a nonce is sent when it is asked for, and from then on", async () => {
  await using api = await server((request) =>
    proofOf(request).claims.nonce === "nonce-1" ? json({}) : challenge()
  );
  const fetch = dpopFetch(globalThis.fetch, (await generateDpopKey()).pair);
  const options = { method: "POST", body: "text" };
  assertEquals(await send(fetch, api.origin, options), 200);
  assertEquals(await send(fetch, api.origin, options), 200);
  assertEquals(api.requests.map((request) => proofOf(request).claims.nonce), [
    undefined,
    "nonce-1",
    "nonce-1",
  ]);
});

Deno.test("dpopFetch: a nonce that comes with an answer is used for the next request", async () => {
  let serial = 0;
  await using api = await server(() => json({}, 200, { "dpop-nonce": `nonce-${++serial}` }));
  const fetch = dpopFetch(globalThis.fetch, (await generateDpopKey()).pair);
  for (let i = 0; i < 3; i++) await send(fetch, api.origin);
  assertEquals(api.requests.map((request) => proofOf(request).claims.nonce), [
    undefined,
    "nonce-1",
    "nonce-2",
  ]);
});

Deno.test("dpopFetch: a second challenge, and any other refusal, is the answer", async () => {
  await using endless = await server(() => challenge());
  await using other = await server(() =>
    json({}, 401, { "www-authenticate": 'DPoP error="invalid_token"', "dpop-nonce": "n" })
  );
  await using bearer = await server(() => json({}, 403, { "www-authenticate": "Bearer" }));
  const fetch = dpopFetch(globalThis.fetch, (await generateDpopKey()).pair);
  assertEquals([await send(fetch, endless.origin), endless.requests.length], [401, 2]);
  assertEquals([await send(fetch, other.origin), other.requests.length], [401, 1]);
  assertEquals([await send(fetch, bearer.origin), bearer.requests.length], [403, 1]);
});

Deno.test("dpopFetch: a stream is not sent again for a nonce", async () => {
  await using api = await server(() => challenge());
  const fetch = dpopFetch(globalThis.fetch, (await generateDpopKey()).pair);
  const body = ReadableStream.from([new TextEncoder().encode("text")]);
  assertEquals(await send(fetch, api.origin, { method: "POST", body }), 401);
  assertEquals(api.requests.length, 1);
});

Deno.test("dpopFetch: the signal and a failing fetch end it as they end fetch", async () => {
  await using api = await server();
  const { pair } = await generateDpopKey();
  const reason = new Error("enough");
  const fetch = dpopFetch(globalThis.fetch, pair);
  const signal = AbortSignal.abort(reason);
  assertEquals(await assertRejects(() => send(fetch, api.origin, { signal })), reason);
  const failing = dpopFetch(() => Promise.reject(reason), pair);
  assertEquals(await assertRejects(() => send(failing, api.origin)), reason);
});

Deno.test("addProof: a proof for one request", async () => {
  const { pair } = await generateDpopKey();
  const url = new URL("https://api.example.com/v1/things?a=b");
  const headers = new Headers({ authorization: "DPoP token-1" });
  await addProof(headers, pair, "delete", url);
  assertEquals([...headers.keys()], ["authorization", "dpop"]);
  const { claims } = readProof(headers.get("dpop")!);
  assertEquals([claims.htm, claims.htu], ["DELETE", "https://api.example.com/v1/things"]);
});

/** A session with bound tokens for an API of the test's own. */
async function withSession(
  apiHost: string | undefined,
  run: (session: Session) => Promise<void>,
): Promise<void> {
  await using world = await scriptedProviderWorld({
    discovery: { dpop_signing_alg_values_supported: ["ES256"] },
  });
  world.provider.script.token.push(() => world.provider.tokens({ token_type: "DPoP" }));
  const { apiHost: _, ...options } = world.options;
  const host = apiHost === undefined ? {} : { apiHost };
  await run(await createSession({ ...options, ...host, dpop: true }));
}

Deno.test("session with dpop: a redirect gets a new proof on the same origin, none on another", async () => {
  await using other = await server();
  await using api = await server((request) => {
    const to = new URL(request.url).searchParams.get("to");
    return to === null ? json({}) : new Response(null, { status: 307, headers: { location: to } });
  });
  await withSession(`${api.origin}/`, async (session) => {
    await (await session.fetch("a?to=/b")).body?.cancel();
    assertEquals(api.requests.map((request) => proofOf(request).claims.htu), [
      `${api.origin}/a`,
      `${api.origin}/b`,
    ]);
    await (await session.fetch(`a?to=${encodeURIComponent(other.origin)}`)).body?.cancel();
    const { headers } = other.requests[0]!;
    assertEquals([headers.has("authorization"), headers.has("dpop")], [false, false]);
  });
});

Deno.test("session with dpop: an endless nonce challenge costs no refresh", async () => {
  await using api = await server(() => challenge());
  await withSession(`${api.origin}/`, async (session) => {
    const before = await session.accessToken();
    const response = await session.fetch("thing");
    await response.body?.cancel();
    assertEquals([response.status, api.requests.length], [401, 2]);
    assertEquals(await session.accessToken(), before);
  });
});

Deno.test("session with dpop: a stream that meets a challenge is told to be sent anew, and no more", async () => {
  await using api = await server(() => challenge());
  await withSession(`${api.origin}/`, async (session) => {
    const body = new Blob(["x"]).stream();
    const error = await rejectsWith(
      "unauthorized",
      () => session.fetch("thing", { method: "POST", body }),
      "which cannot be sent again: send it with a new stream",
    );
    assertEquals(error.message.includes("forceRefresh"), false);
  });
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
    const misused = await fetch(`${session.apiHost}me`, { method: "POST", headers });
    await misused.body?.cancel();
    assertEquals(misused.status >= 400, true);
  }
  const { claims } = readProof((await session.headers({ url: "x", method: "patch" })).get("dpop")!);
  assertEquals(claims.htm, "PATCH");
});

Deno.test("session: headers() are for the API's own origin only", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  await rejectsWith("wrong_origin", () => session.headers({ url: "https://example.com/" }));
  const bearer = await session.headers({ url: "thing", method: "POST" });
  assertEquals([...bearer.keys()], ["authorization"]);
  await rejectsWith("invalid_options", () => session.headers({ uri: "thing" } as object), "uri");
});

Deno.test("session: the signal of headers() ends the wait for a token", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  world.clock.advance(3600_000);
  const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<undefined>()];
  world.provider.script.token.push(() => (arrived.resolve(), gate.promise));
  const controller = new AbortController();
  const reason = new Error("enough");
  const waiting = assertRejects(() => session.headers({ signal: controller.signal }));
  await arrived.promise;
  controller.abort(reason);
  assertEquals(await waiting, reason);
  gate.resolve(undefined); // the refresh itself goes on, and serves the next one
  await session.headers();
});

Deno.test("session with dpop: headers() without apiHost are for any URL that is safe", async () => {
  await withSession(undefined, async (session) => {
    const headers = await session.headers({ url: "https://api.example.com/thing" });
    assertEquals(readProof(headers.get("dpop")!).claims.htu, "https://api.example.com/thing");
    await rejectsWith("insecure_url", () => session.headers({ url: "http://api.example.com/" }));
    await rejectsWith("invalid_options", () => session.headers({ url: "thing" }), "the URL");
  });
});
