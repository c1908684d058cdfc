import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSession, discoverApi } from "../../mod.ts";
import { json, startHttpServer } from "../support/http_server.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";

const API = "https://api.example.com/v1/";
const ISSUER = "https://login.example.com";
const PLACE = "https://api.example.com/.well-known/oauth-protected-resource";
const METADATA = { resource: API, authorization_servers: [ISSUER] };

type Answers = Readonly<Record<string, (() => Response) | Record<string, unknown>>>;

/** A `fetch` that has these answers by address, and 404 for all else. It notes each request. */
function scripted(answers: Answers) {
  const requests: { url: string; headers: Headers; redirect: RequestRedirect | undefined }[] = [];
  const fetch: typeof globalThis.fetch = (input, init = {}) => {
    const url = String(input);
    requests.push({ url, headers: new Headers(init.headers), redirect: init.redirect });
    const answer = answers[url] ?? (() => new Response("not here", { status: 404 }));
    return Promise.resolve(typeof answer === "function" ? answer() : json(answer));
  };
  return { fetch, requests, urls: () => requests.map(({ url }) => url) };
}

/** The answer to a call without a token. */
const challenge = (place: string, scheme = "Bearer") => () =>
  new Response("", {
    status: 401,
    headers: { "www-authenticate": `${scheme} resource_metadata="${place}"` },
  });

Deno.test("discoverApi: the well-known address gives options for a session", async () => {
  const api = scripted({
    [`${PLACE}/v1/`]: {
      ...METADATA,
      scopes_supported: ["things.read", "openid"],
      bearer_methods_supported: ["header"],
      dpop_bound_access_tokens_required: true,
      dpop_signing_alg_values_supported: ["RS256", "ES256"],
    },
  });
  assertEquals(await discoverApi(` ${API} `, { fetch: api.fetch }), {
    issuers: [ISSUER],
    options: {
      apiHost: API,
      issuer: ISSUER,
      audience: API,
      scope: "openid profile email offline_access things.read",
      dpop: true,
    },
  });
  assertEquals(api.urls(), [`${PLACE}/v1/`]);
  const [{ headers, redirect }] = api.requests as [typeof api.requests[0]];
  assertEquals([headers.get("authorization"), redirect], [null, "manual"]);
});

const PLACES: [name: string, typed: string, named: string, resource: string][] = [
  ["without the slash", API, `${PLACE}/v1`, "https://api.example.com/v1"],
  ["of the whole host", API, PLACE, "https://api.example.com"],
  ["of the whole host, with its slash", API, PLACE, "https://api.example.com/"],
  [
    "below its path",
    "https://api.example.com/v1",
    "https://api.example.com/v1/.well-known/oauth-protected-resource",
    "https://api.example.com/v1",
  ],
  ["above a long path", `${API}things/7`, `${PLACE}/v1`, "https://api.example.com/v1"],
];

for (const [name, typed, named, resource] of PLACES) {
  for (const scheme of ["Bearer", 'Basic realm="x", DPoP']) {
    Deno.test(`discoverApi: the answer to a call names the place: ${name}, ${scheme}`, async () => {
      const api = scripted({
        [typed]: challenge(named, scheme),
        [named]: { ...METADATA, resource },
      });
      const { options } = await discoverApi(typed, { fetch: api.fetch });
      assertEquals(options, { apiHost: typed, issuer: ISSUER, audience: resource });
      assert(api.requests.every(({ headers }) => !headers.has("authorization")));
    });
  }
}

/** The slash at the end of what a person types, and of what the API calls itself. */
const SLASHES: [typed: string, resource: string, places: string[]][] = [
  ["/v1", "/v1/", ["/v1/"]],
  ["/v1/", "/v1", ["/v1"]],
  ["/v1", "/v1/", ["/v1", "/v1/"]],
];

for (const [typed, resource, places] of SLASHES) {
  Deno.test(`discoverApi: ${typed} finds ${resource}, with a document at ${places}`, async () => {
    const [address, named] = [typed, resource].map((path) => `https://api.example.com${path}`);
    const metadata = { ...METADATA, resource: named };
    const api = scripted(Object.fromEntries(places.map((path) => [PLACE + path, metadata])));
    const { options } = await discoverApi(address!, { fetch: api.fetch });
    assertEquals(options, { apiHost: address, issuer: ISSUER, audience: named });
    assertEquals(api.urls(), [PLACE + typed, PLACE + resource]);
  });
}

Deno.test("discoverApi: the address of a host has one form", async () => {
  const api = scripted({});
  const address = "https://api.example.com";
  await rejectsWith("api_metadata_invalid", () => discoverApi(address, { fetch: api.fetch }));
  assertEquals(api.urls(), [PLACE, `${address}/`]);
});

Deno.test("discoverApi: of several issuers none is chosen", async () => {
  const authorization_servers = [ISSUER, "https://other.example.com"];
  const api = scripted({ [`${PLACE}/v1/`]: { ...METADATA, authorization_servers } });
  const { issuers, options } = await discoverApi(API, { fetch: api.fetch });
  assertEquals([issuers, options.issuer], [authorization_servers, undefined]);
});

const TAKEN: Record<string, unknown>[] = [
  { bearer_methods_supported: ["body", "header"] },
  { bearer_methods_supported: null, dpop_signing_alg_values_supported: ["RS256"] },
  { bearer_methods_supported: [], dpop_bound_access_tokens_required: true },
];

for (const members of TAKEN) {
  Deno.test(`discoverApi: the API takes the token: ${JSON.stringify(members)}`, async () => {
    const api = scripted({ [`${PLACE}/v1/`]: { ...METADATA, ...members } });
    assertEquals((await discoverApi(API, { fetch: api.fetch })).issuers, [ISSUER]);
  });
}

const bad = (members: Record<string, unknown>): Answers => ({
  [`${PLACE}/v1/`]: { ...METADATA, ...members },
});
const text = (body: string): Answers => ({ [`${PLACE}/v1/`]: () => new Response(body) });
/** Metadata whose last member never ends. */
function endless(): ReadableStream<Uint8Array> {
  const begin = `${JSON.stringify(METADATA).slice(0, -1)}, "more": "`;
  const next = [begin];
  return new ReadableStream({
    pull: (controller) =>
      controller.enqueue(new TextEncoder().encode(next.shift() ?? "x".repeat(9999))),
  });
}
const redirect = (location: string) => () =>
  new Response(null, { status: 302, headers: { location } });

const BAD: [name: string, answers: Answers][] = [
  ["none", {}],
  ["endless", { [`${PLACE}/v1/`]: () => new Response(endless()) }],
  ["not JSON", text("<html>Welcome</html>")],
  ["no object", text("[]")],
  ["of another resource", bad({ resource: "https://api.example.com/v2/" })],
  ["of the address, at the place of its other form", { [`${PLACE}/v1`]: METADATA }],
  ["of another host", bad({ resource: "https://other.example.com/v1/" })],
  ["without a resource", bad({ resource: undefined })],
  ["a resource that is no text", bad({ resource: [API] })],
  ["without an issuer", bad({ authorization_servers: [] })],
  ["without issuers", bad({ authorization_servers: undefined })],
  ["an issuer with http:", bad({ authorization_servers: ["http://login.example.com"] })],
  ["an issuer on this computer", bad({ authorization_servers: ["http://127.0.0.1:8080"] })],
  ["one of two issuers with http:", bad({ authorization_servers: [ISSUER, "http://a.example"] })],
  ["an issuer that is no address", bad({ authorization_servers: ["javascript:alert(1)"] })],
  ["an issuer with a password", bad({ authorization_servers: ["https://a:b@login.example.com"] })],
  ["an issuer with a line break", bad({ authorization_servers: ["https://a.example/\nx"] })],
  ["an issuer that is an object", bad({ authorization_servers: [{ url: ISSUER }] })],
  ["a scope of 10 KB", bad({ scopes_supported: ["x".repeat(10_000)] })],
  ["a scope that is none", bad({ scopes_supported: ['a"b'] })],
  ["tokens in the body alone", bad({ bearer_methods_supported: ["body", "query"] })],
  ["tokens in no way", bad({ bearer_methods_supported: [] })],
  [
    "DPoP by other algorithms alone",
    bad({
      dpop_bound_access_tokens_required: true,
      dpop_signing_alg_values_supported: ["RS256", "EdDSA"],
    }),
  ],
  ["DPoP that is no truth", bad({ dpop_bound_access_tokens_required: "yes" })],
  ["a place at another origin", {
    [API]: challenge("https://evil.example.com/.well-known/oauth-protected-resource/v1/"),
    "https://evil.example.com/.well-known/oauth-protected-resource/v1/": METADATA,
  }],
  ["a place with http:", { [API]: challenge(`${PLACE}/v1/`.replace("https:", "http:")) }],
  ["a place of another API", {
    [API]: challenge(`${PLACE}/v2`),
    [`${PLACE}/v2`]: { ...METADATA, resource: "https://api.example.com/v2" },
  }],
  ["a place of an API with a like name", {
    [API]: challenge(`${PLACE}/v`),
    [`${PLACE}/v`]: { ...METADATA, resource: "https://api.example.com/v" },
  }],
  ["a place that is not well-known", {
    [API]: challenge("https://api.example.com/meta"),
    "https://api.example.com/meta": METADATA,
  }],
  ["a place at another origin, with two slashes too few", {
    [API]: challenge("https:/.well-known/oauth-protected-resource/api.example.com/v1/"),
  }],
  ["a place that is no address", { [API]: challenge("nowhere") }],
  ["a place behind 10 KB of other challenges", {
    [API]: challenge(PLACE, `${'Basic realm="x", '.repeat(700)}Bearer`),
    [PLACE]: { ...METADATA, resource: "https://api.example.com/" },
  }],
  ["a challenge that is none", {
    [API]: () => new Response("", { status: 401, headers: { "www-authenticate": "=,=" } }),
  }],
];

for (const [name, answers] of BAD) {
  Deno.test(`discoverApi: metadata that must not be used: ${name}`, async () => {
    const api = scripted(answers);
    await rejectsWith("api_metadata_invalid", () => discoverApi(API, { fetch: api.fetch }));
    for (const { url, headers } of api.requests) {
      assertEquals(new URL(url).origin, "https://api.example.com");
      assert(!headers.has("authorization"));
    }
  });
}

for (const body of [undefined, "<html>Welcome</html>", ""]) {
  Deno.test(`discoverApi: an API without metadata, which answers ${body}, says so`, async () => {
    const { fetch } = scripted(body === undefined ? {} : text(body));
    const discover = () => discoverApi(API, { fetch });
    await rejectsWith("api_metadata_invalid", discover, "RFC 9728", "administrator");
  });
}

Deno.test("discoverApi: no redirect is followed", async () => {
  const metadata = "https://other.example.com/metadata";
  for (const to of [metadata, `${PLACE}/v2/`]) {
    const api = scripted({ [`${PLACE}/v1/`]: redirect(to), [to]: METADATA, [API]: redirect(to) });
    await rejectsWith("api_unreachable", () => discoverApi(API, { fetch: api.fetch }), "redirects");
    assertEquals(api.urls(), [`${PLACE}/v1/`, `${PLACE}/v1`, API]);
  }
});

Deno.test("discoverApi: only a plain address is asked", async () => {
  const api = scripted({});
  await rejectsWith(
    "insecure_url",
    () => discoverApi("http://api.example.com/", { fetch: api.fetch }),
  );
  await rejectsWith("invalid_options", () => discoverApi("api.example.com", { fetch: api.fetch }));
  await rejectsWith(
    "invalid_options",
    () => discoverApi("https://a:b@api.example.com/", { fetch: api.fetch }),
  );
  await rejectsWith("invalid_options", () => discoverApi(API, { timeout: 1 } as never));
  assertEquals(api.requests, []);
});

Deno.test("discoverApi: the signal ends it, and a broken network is told", async () => {
  const signal = AbortSignal.abort("enough");
  assertEquals(await discoverApi(API, { signal }).catch((reason) => reason), "enough");
  let asked = 0;
  let took = 0;
  using _ = replace(performance, "now", () => took);
  const fetch = () => {
    asked++;
    took += 30_000;
    return Promise.reject(new TypeError("broken"));
  };
  await rejectsWith("api_unreachable", () => discoverApi(API, { fetch }), "/.well-known/");
  assertEquals(asked, 1, "after the limit, another address was asked");
});

Deno.test("discoverApi: a session by its options, with the API's own issuer and audience", async () => {
  await using world = await scriptedProviderWorld();
  await using api = await startHttpServer((request) => {
    const { pathname, origin } = new URL(request.url);
    if (pathname !== "/.well-known/oauth-protected-resource/v1/") return json({}, 404);
    const authorization_servers = [world.provider.issuer];
    return json({ resource: `${origin}/v1/`, authorization_servers, scopes_supported: ["things"] });
  }) as never as AsyncDisposable & { origin: string };
  const { options } = await discoverApi(`${api.origin}/v1/`);
  assertEquals(world.provider.requests, [], "an issuer was asked");
  const session = await createSession({ ...world.options, ...options });
  assertEquals([session.apiHost, session.audience], [`${api.origin}/v1/`, `${api.origin}/v1/`]);
  const [form] = world.provider.requests.filter(({ path }) => path.endsWith("/device"));
  assertEquals(form!.form.audience, `${api.origin}/v1/`);
  assert(form!.form.scope!.endsWith(" things"));
});

Deno.test("discoverApi: DPoP that the provider does not offer is an error of the sign-in", async () => {
  await using world = await scriptedProviderWorld();
  const api = scripted({
    [`${PLACE}/v1/`]: { ...METADATA, dpop_bound_access_tokens_required: true },
  });
  const { options } = await discoverApi(API, { fetch: api.fetch });
  const { issuer } = world.provider;
  await rejectsWith("dpop_unsupported", () => world.signIn({ ...options, issuer }));
  await assertRejects(() => Promise.resolve().then(world.stored));
});
