import { shortfallOf } from "../../../client/api/demand.ts";
import { entry } from "../../support/entries.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { given } from "../../../backends/common/json.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { readClaims } from "../../../client/entry/bearer.ts";
import { ApiError, createSession, type Session, type SessionOptions } from "../../../mod.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import {
  type Brings,
  CLAIMS,
  demanding,
  ENTRA,
  NEWER,
  personAtBrowser,
  STEP_UP,
  WIDER,
} from "../../support/demanding_api.ts";
import { json } from "../../support/http_server.ts";
import {
  refreshes,
  scriptedProviderWorld,
  type ScriptedWorld,
} from "../../support/provider_world.ts";
import { setVariables } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { dateless } from "../../support/spy_fetch.ts";
import { oauthError } from "../../support/scripted_provider.ts";

interface Context extends ScriptedWorld {
  session: Session;
  /** The pages that the person was sent to. */
  links: URL[];
  brings: Brings[];
}

/** A test with a signed-in session, and a person whose next sign-ins bring these. */
function demandTest(
  name: string,
  run: (context: Context) => Promise<void>,
  given: Brings[] = [],
  options: SessionOptions = {},
): void {
  Deno.test(`demand: ${name}`, async () => {
    await using world = await scriptedProviderWorld();
    await world.signIn();
    const brings = [...given];
    const { links, ...person } = personAtBrowser(world, brings);
    const session = await world.signIn({ ...person, ...options });
    world.provider.reset();
    world.api.reset();
    await run(Object.assign(Object.create(world), { session, links, brings }));
  });
}

const GOLD: Brings = { claims: { acr: "gold" } };
const test = Object.assign(demandTest, {
  /** The person is asked as soon as the API demands it. */
  asked: (...[name, run]: Parameters<typeof demandTest>) =>
    demandTest(name, run, [GOLD], { reauthenticate: "ask" }),
});

/** The error of a call that the API answers so. */
async function demandOf({ session, api }: Context, ...answers: (() => Response)[]) {
  api.script.push(...answers);
  const error = await assertRejects(() => session.get("thing"), ApiError);
  assertNoSecret(error);
  return error;
}

const DEMANDS: [challenge: string, demand: Record<string, unknown>, parameters: object][] = [
  [STEP_UP, { acrValues: "gold silver" }, { acr_values: "gold silver" }],
  [NEWER, { maxAge: 0 }, { max_age: "0" }],
  [WIDER, { scope: "things.write" }, {}],
  [
    'DPoP algs="ES256", Bearer error="insufficient_user_authentication", max_age=5, acr_values=gold',
    { acrValues: "gold", maxAge: 5 },
    { acr_values: "gold", max_age: "5" },
  ],
];

for (const [challenge, demand, parameters] of DEMANDS) {
  for (const status of [401, 403]) {
    test(
      `${JSON.stringify(demand)} by ${status} is data, and no refresh is spent on it`,
      async (context) => {
        const { session, api, links } = context;
        const before = context.stored();
        const error = await demandOf(context, demanding(challenge, status));
        assertEquals([error.code, error.status, error.body], [
          "reauthentication_required",
          status,
          "more, please",
        ]);
        assertEquals(error.demand as unknown, demand);
        assertStringIncludes(error.remedy, "session.signIn({ for: error })");
        assertEquals([refreshes(context), api.requests.length, links.length], [0, 1, 0]);
        assertEquals(context.stored(), before);
        await rejectsWith("reauthentication_required", () => {
          api.script.push(demanding(challenge, status));
          return session.fetch("thing");
        });

        await session.signIn({ for: error });
        const [link] = links;
        const sent = Object.fromEntries(link!.searchParams);
        for (const [name, value] of Object.entries(parameters)) assertEquals(sent[name], value);
        assertEquals(sent.scope!.includes("things.write"), "scope" in demand);
        await session.get("thing");
        const { access_token } = context.stored();
        assert(access_token !== before.access_token);
        assertEquals(api.requests.at(-1)!.headers.authorization, `Bearer ${access_token}`);
      },
      [{ claims: { acr: "gold" }, members: { scope: "openid things.write" } }],
    );
  }
}

test("Entra's claims get one refresh that carries them", async (context) => {
  const { session, api } = context;
  api.script.push(demanding(ENTRA));
  await session.get("thing");
  const forms = context.provider.requests.filter(({ grantType }) => grantType === "refresh_token");
  assertEquals(forms.map(({ form }) => form.claims), [CLAIMS]);
  assertEquals(api.requests.map(({ status }) => status), [401, 200]);
});

test("Entra's claims that a refresh does not meet are an error, and no loop", async (context) => {
  for (const refreshed of [1, 1]) {
    const error = await demandOf(context, demanding(ENTRA), demanding(ENTRA));
    context.api.script.length = 0;
    assertEquals(error.demand, { claims: CLAIMS });
    assertEquals(refreshes(context), refreshed);
  }
});

/** A demand that no refresh meets says nothing of a token that another call finds ended. */
async function assertRefreshed({ session, api }: Context) {
  api.reset();
  api.reject(1);
  await session.get("other");
  assertEquals(api.requests.map(({ status }) => status), [401, 200]);
}

test("a token that ends after a demand is refreshed", async (context) => {
  await demandOf(context, demanding(WIDER, 403));
  await assertRefreshed(context);
});

test("a refresh that the provider refuses leaves the demand", async (context) => {
  context.provider.script.token.push(() => oauthError("interaction_required"));
  const error = await demandOf(context, demanding(ENTRA));
  assertEquals(error.code, "reauthentication_required");
  await demandOf(context, demanding(ENTRA));
  assertEquals(refreshes(context), 1, "it is tried again within a minute");
  await assertRefreshed(context);
  await context.session.signIn({ for: error });
  assertEquals(context.links[0]!.searchParams.get("claims"), CLAIMS);
});

test.asked("a client that is refused at a refresh with claims is told", async (context) => {
  context.provider.script.token.push(() => oauthError("invalid_client", 401));
  context.api.script.push(demanding(ENTRA));
  await rejectsWith("provider_refused", () => context.session.get("thing"));
  assertEquals(context.links.length, 0);
});

test("a sign-in of another program is used before anybody is asked", async (context) => {
  const other = await context.signIn();
  await other.accessToken({ forceRefresh: true });
  context.provider.reset();
  context.api.script.push(demanding(STEP_UP));
  await context.session.get("thing");
  assertEquals([refreshes(context), context.links.length], [0, 0]);
});

test.asked("with reauthenticate the person is asked, and the call repeated once", async (context) => {
  const { session, api, links } = context;
  api.script.push(demanding(STEP_UP));
  const answer = await session.post("thing", { json: { a: 1 } }) as { body: unknown };
  assertEquals(answer.body, { a: 1 });
  assertEquals([links.length, api.requests.length, refreshes(context)], [1, 2, 0]);
});

test.asked("calls at once ask the person once", async (context) => {
  const { session, api, links } = context;
  api.script.push(demanding(STEP_UP), demanding(STEP_UP), demanding(STEP_UP));
  await Promise.all(["a", "b", "c"].map((path) => session.get(path)));
  assertEquals(links.length, 1);
});

test.asked("two demands in turn: the second is an error, and the person is asked once", async (context) => {
  const error = await demandOf(context, demanding(STEP_UP), demanding(NEWER));
  assertEquals(error.demand, { maxAge: 0 });
  assertEquals([context.links.length, context.api.requests.length], [1, 2]);
});

test.asked("a stream is not sent twice: the person is not asked", async ({ session, api, links }) => {
  api.script.push(demanding(STEP_UP));
  const body = ReadableStream.from([new TextEncoder().encode("hello")]);
  const send = () => session.fetch("thing", { method: "POST", body });
  await rejectsWith("reauthentication_required", send);
  assertEquals([links.length, api.requests.length], [0, 1]);
});

Deno.test("demand: reauthenticate asks only where a person may be asked", async () => {
  await using world = await scriptedProviderWorld();
  await (await world.signIn()).close();
  const person = personAtBrowser(world, [GOLD]);
  const { links, ...more } = person;
  setVariables({ VM_OIDC_INTERACTIVE: "0" });
  for (const interactive of [undefined, false]) {
    const session = await world.signIn({
      ...more,
      reauthenticate: "ask",
      ...given({ interactive }),
    });
    world.api.script.push(demanding(STEP_UP));
    // `Session.signIn` asks nevertheless.
    const advice = "Call session.signIn({ for: error })";
    await rejectsWith("reauthentication_required", () => session.get("thing"), advice);
  }
  assertEquals(links.length, 0);
});

Deno.test("demand: where nobody may be asked, no error advises a call that would not ask", async () => {
  await using world = await scriptedProviderWorld();
  await (await world.signIn()).close();
  setVariables({ VM_OIDC_INTERACTIVE: "0" });
  const quiet = await world.signIn();
  world.api.script.push(demanding(STEP_UP));
  const words = [
    "No person may be asked: interactive (VM_OIDC_INTERACTIVE) is false in the variables.",
    "session.signIn({ for: error }) in a notebook or a terminal without that setting.",
  ];
  const call = () => quiet.get("thing");
  const error = await rejectsWith("reauthentication_required", call, ...words);
  assertEquals(error.message.includes("Call session.signIn"), false, error.message);
  const sign = () => quiet.signIn({ for: error as ApiError });
  await rejectsWith("login_required", sign, "nobody may be asked", ...words);
});

/** Conditional Access, as Entra answers a refresh: the person has to act. */
const INTERACTION = () =>
  json({
    error: "interaction_required",
    error_description: "AADSTS50076: you must use multi-factor authentication.",
    error_codes: [50076],
    suberror: "basic_action",
    claims: CLAIMS,
  }, 400);

for (const isMet of [true, false]) {
  Deno.test(`demand: Microsoft Entra's claims challenge, met by a refresh: ${isMet}`, async () => {
    const issuer = "https://login.microsoftonline.com/7f3c/v2.0";
    await using world = await scriptedProviderWorld({ issuer });
    const own = { fetch: world.provider.fetch, bearer: "access_token" } as const;
    await world.signIn(own);
    const { links, ...person } = personAtBrowser(world, []);
    const session = await world.signIn({ ...own, ...person });
    const { refresh_token } = world.stored();
    world.provider.reset();
    if (!isMet) world.provider.script.token.push(INTERACTION);
    world.api.script.push(demanding(ENTRA));
    if (isMet) return void await session.get("thing");
    const error = await assertRejects(() => session.get("thing"), ApiError);
    assertEquals(error.demand, { claims: CLAIMS });
    assertEquals(world.stored().refresh_token, refresh_token, "the grant was dropped");
    await session.signIn({ for: error });
    const [link] = links;
    assertEquals([link!.origin, link!.searchParams.get("claims")], [
      new URL(issuer).origin,
      CLAIMS,
    ]);
    await session.get("thing");
    assertEquals(refreshes(world), 1);
  });
}

Deno.test("demand: a sign-in is new enough up to five seconds, in which clocks are read", () => {
  const access_token = `e30.${btoa(JSON.stringify({ auth_time: 100 }))}.s`;
  const lacks = (askedAt: number) =>
    Boolean(shortfallOf({ maxAge: 10 }, entry({ access_token }), askedAt));
  assertEquals([115, 116].map(lacks), [false, true]);
});

const OLD = { auth_time: Math.floor(Date.now() / 1000) - 60 };
const UNMET: [name: string, challenge: string, brings: Brings, words: string][] = [
  ["acr is another one", STEP_UP, { claims: { acr: "bronze" } }, "acr is bronze"],
  ["acr is missing", STEP_UP, {}, "acr is missing"],
  ["auth_time is old", NEWER, { claims: OLD }, "auth_time"],
  ["acr is no text", STEP_UP, { claims: { acr: { toString: 1 } } }, "acr is missing"],
  ["auth_time is missing", NEWER, { claims: { auth_time: undefined } }, "auth_time"],
  [
    "the scope is not granted",
    WIDER,
    { members: { scope: "openid" } },
    "things.write was not granted",
  ],
];

for (const [name, challenge, brings, words] of UNMET) {
  test(`a provider that ignores it is told as such: ${name}`, async (context) => {
    const before = context.stored();
    const error = await demandOf(context, demanding(challenge));
    const run = () => context.session.signIn({ for: error });
    const { remedy } = await rejectsWith("demand_unmet", run, words);
    assert(!remedy.includes("flow"), remedy); // it was the browser's
    assertEquals(context.stored(), before);
    assertEquals(await context.session.accessToken(), before.access_token);
  }, [brings]);
}

const BEHIND = Math.floor(Date.now() / 1000) - 300;

test(
  "auth_time is by the provider's clock, which the ID token tells where no header does",
  async (context) => {
    const error = await demandOf(context, demanding(NEWER));
    await context.session.signIn({ for: error });
  },
  [{ claims: { iat: BEHIND, auth_time: BEHIND } }],
  { fetch: dateless },
);

test("acr in the access token counts, where the ID token has none", async (context) => {
  const access_token = await context.provider.idToken({ acr: "silver" });
  context.brings.push({ members: { access_token } });
  const error = await demandOf(context, demanding(STEP_UP));
  await context.session.signIn({ for: error });
  assertEquals(context.stored().access_token, access_token);
});

const BOB = { acr: "gold", sub: "bob@example.com" };

/** What is known of the session's person, where another one signs in; and the claims of that one. */
const PEOPLE: [name: string, prepare: (context: Context) => unknown, claims?: typeof BOB][] = [
  ["another person replaces nothing", () => {}],
  ["nor after a sign-out: the session stays its own person's", ({ session }) => session.clear()],
  ["nor after a sign-out elsewhere", ({ backend, key }) => backend.delete(key)],
  [
    "nobody is the person of a stored ID token that names none",
    ({ amend }) => amend({ id_token: `e30.${btoa("{}")}.` }),
    { acr: "gold" } as typeof BOB,
  ],
  ["the person of tokens that could not be stored counts", async ({ backend, key, session }) => {
    const { put } = backend;
    backend.put = () => {
      throw new Error("full");
    };
    await rejectsWith("credentials_not_stored", () => session.accessToken({ forceRefresh: true }));
    backend.delete(key);
    backend.put = put;
  }],
];

for (const [name, prepare, claims = BOB] of PEOPLE) {
  test(name, async (context) => {
    const { backend, key, provider, session } = context;
    const { access_token } = context.stored();
    await prepare(context);
    const before = backend.get(key);
    const sign = () => session.signIn({ for: { demand: { acrValues: "gold" } } });
    await rejectsWith("id_token_invalid", sign, "another person");
    assertEquals(backend.get(key), before);
    if (before !== undefined) assert(provider.isActive(access_token));
  }, [{ claims }]);
}

test(
  "a wider scope stays, and no old refresh token after a sign-in without one",
  async (context) => {
    context.amend({ scope: "openid profile email offline_access extra" });
    const error = await demandOf(context, demanding(STEP_UP));
    await context.session.signIn({ for: error });
    const stored = context.stored();
    assertEquals(stored.refresh_token, null);
    assertStringIncludes(`${stored.scope}`, "extra");
    assertStringIncludes(context.links[0]!.searchParams.get("scope")!, "extra");
  },
  [{ ...GOLD, members: { refresh_token: undefined } }],
);

const WITHOUT_REFRESH = { refresh_token: undefined };
test("no token of a person who is not known goes over to another", async (context) => {
  context.amend({ id_token: null });
  const { links: _, ...person } = personAtBrowser(context, context.brings);
  const session = await context.signIn(person);
  await session.signIn({ for: { demand: { acrValues: "gold" } } });
  const { id_token, refresh_token } = context.stored();
  assertEquals([readClaims(`${id_token}`)?.sub, refresh_token], [BOB.sub, null]);
}, [{ claims: BOB, members: WITHOUT_REFRESH }]);

Deno.test("demand: no refresh token stays that is bound to a former key", async () => {
  const discovery = { dpop_signing_alg_values_supported: ["ES256"] };
  await using world = await scriptedProviderWorld({ discovery });
  const { provider, backend } = world;
  const bound = { token_type: "DPoP" };
  const key = credentialKey(provider.issuer, provider.clientId, undefined, { dpop: true });
  provider.script.token.push(() => provider.tokens(bound));
  await world.signIn({ dpop: true });
  const before = backend.get(key)!;
  const { links: _, ...person } = personAtBrowser(world, [
    { ...GOLD, members: { ...bound, ...WITHOUT_REFRESH } },
  ]);
  const session = await world.signIn({ dpop: true, ...person });
  await session.signIn({ for: { demand: { acrValues: "gold" } } });
  const { refresh_token, dpop_key } = backend.get(key)!;
  assertEquals(refresh_token, null);
  assertNotEquals(dpop_key, before.dpop_key);
});

test("a session takes no other person's sign-in that it has joined", async (context) => {
  const { provider, session, amend, brings } = context;
  const { access_token } = context.stored();
  amend({ access_token: "of-bob", id_token: await provider.idToken(BOB) });
  const { links: _, ...person } = personAtBrowser(context, brings);
  const bob = await context.signIn(person);
  const sign = (one: Session) => one.signIn({ for: { demand: { acrValues: "gold" } } });
  const [ofBob, joined] = await Promise.allSettled([sign(bob), sign(session)]);
  assertEquals([ofBob.status, joined.status], ["fulfilled", "rejected"]);
  assertEquals(await bob.accessToken(), context.stored().access_token);
  assertEquals(await session.accessToken(), access_token);
}, [{ claims: BOB }]);

interface AskedContext extends ScriptedWorld {
  /** The sign-ins that the person has made. */
  links: URL[];
  sign: () => Promise<void>;
}

/**
 * A test of a demanded sign-in, and of a change of the store while the person is at the browser. The person
 * signs in after some looks into the changed store, or never where that brings nothing.
 */
function whileAskedTest(
  name: string,
  brings: Brings | undefined,
  change: (world: ScriptedWorld) => unknown,
  run: (context: AskedContext) => Promise<void>,
): void {
  Deno.test(`demand: while the person is asked, ${name}`, async () => {
    await using world = await scriptedProviderWorld();
    await world.signIn();
    const { links, onAuthorizationUrl, ...person } = personAtBrowser(world, [brings ?? {}]);
    const looked = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    let looks = -Infinity;
    const session = await world.signIn({
      ...person,
      async onAuthorizationUrl(prompt) {
        await change(world);
        if (brings !== undefined) looks = 0;
        await Promise.race([looked.promise, ended.promise]);
        if (looks > 0) await onAuthorizationUrl!(prompt);
      },
      async delay(_: number, signal?: AbortSignal) {
        await new Promise((resolve) => setTimeout(resolve));
        if (++looks < 20) return;
        looked.resolve();
        await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      },
    } as SessionOptions);
    const sign = async () => {
      await session.signIn({ for: { demand: { acrValues: "gold" } } }).finally(ended.resolve);
    };
    await run(Object.assign(Object.create(world), { links, sign }));
    await new Promise((resolve) => setTimeout(resolve)); // after the last pause
  });
}

for (const [acr, isServed] of [["bronze", false], ["gold", true]] as const) {
  whileAskedTest(
    `a sign-in elsewhere with acr ${acr} ends it: ${isServed}`,
    isServed ? undefined : GOLD,
    async ({ amend, provider }) =>
      amend({ access_token: "planted", id_token: await provider.idToken({ acr }) }),
    async ({ sign, stored, links }) => {
      await sign();
      assertEquals(stored().access_token === "planted", isServed);
      assertEquals(links.length === 0, isServed);
    },
  );
}

whileAskedTest(
  "a sign-out ends the old refresh token for good",
  { ...GOLD, members: WITHOUT_REFRESH },
  ({ backend, key }) => backend.delete(key),
  async ({ sign, stored }) => {
    await sign();
    assertEquals(stored().refresh_token, null);
  },
);

for (const lock of ["", ", also where there is no lock for it"]) {
  whileAskedTest(
    `another person's sign-in elsewhere is not taken, and not replaced${lock}`,
    GOLD,
    async ({ amend, backend, provider }) => {
      if (lock) backend.withLock = () => Promise.reject(new Error("no lock"));
      amend({ access_token: "planted", id_token: await provider.idToken(BOB) });
    },
    async ({ sign, stored }) => {
      await rejectsWith("id_token_invalid", sign, "another person");
      assertEquals(readClaims(`${stored().id_token}`)?.sub, BOB.sub);
    },
  );
}

whileAskedTest(
  "a damaged sign-in elsewhere ends neither it nor the process",
  GOLD,
  async ({ amend, provider }) =>
    amend({ access_token: "planted", id_token: await provider.idToken({ acr: { toString: 1 } }) }),
  async ({ sign, stored }) => {
    await sign();
    assertEquals(readClaims(`${stored().id_token}`)?.acr, "gold");
  },
);

demandTest(
  "another person's sign-in is not replaced that comes right before the write",
  async (context) => {
    const { session, backend, amend, provider, stored } = context;
    const id_token = await provider.idToken(BOB);
    const withLock = backend.withLock.bind(backend);
    let locks = 0;
    backend.withLock = (...call) => {
      if (++locks === 2) amend({ id_token }); // the first lock proves the store
      return withLock(...call);
    };
    const sign = () => session.signIn({ for: { demand: { acrValues: "gold" } } });
    await rejectsWith("id_token_invalid", sign, "another person");
    assertEquals([locks, stored().id_token], [2, id_token]);
  },
  [GOLD],
);

for (const refusal of ["interaction_required", "invalid_grant"]) {
  test(`${refusal} to claims does not end other refreshes`, async (context) => {
    const { session, provider } = context;
    provider.script.token.push(() => oauthError(refusal));
    await demandOf(context, demanding(ENTRA));
    const token = await session.accessToken({ forceRefresh: true });
    assertEquals([context.stored().access_token, refreshes(context)], [token, 2]);
  });
}

for (
  const [scope, isAsked] of [
    ["things.write https://other.example.com/.default", false],
    ["2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default", false],
    ["api://own/.default", false],
    ["things/write", true],
  ] as const
) {
  Deno.test(`demand: the scope ${scope} is asked for without the caller: ${isAsked}`, async () => {
    await using world = await scriptedProviderWorld();
    const own = { audience: "api://own" };
    await world.signIn(own);
    const granted = { members: { scope: `openid ${scope.replace(/\S+\//g, "")}` } };
    const { links, ...person } = personAtBrowser(world, [granted]);
    const session = await world.signIn({ ...own, ...person, reauthenticate: "ask" });
    world.api.script.push(demanding(`Bearer error="insufficient_scope", scope="${scope}"`, 403));
    if (isAsked) await session.get("thing");
    else {
      const error = await assertRejects(() => session.get("thing"), ApiError);
      assertEquals([error.demand, links.length], [{ scope }, 0]);
      await session.signIn({ for: error });
    }
    assertEquals(links.length, 1);
  });
}

const LONG = "x".repeat(10_000);
const UNUSABLE: [name: string, error: string, parameter: string][] = [
  ["a scope of 10 KB", "insufficient_scope", `scope="${LONG}"`],
  ["a scope of 3 KB", "insufficient_scope", `scope="${LONG.slice(7000)}"`],
  ["base64 that is none", "insufficient_claims", 'claims="&&&"'],
  ["base64 of no object", "insufficient_claims", `claims="${btoa("[1]")}"`],
  ["a max_age of words", "insufficient_user_authentication", 'max_age="soon"'],
  ["an acr of another script", "insufficient_user_authentication", 'acr_values="g\u00e4"'],
  ["words that PowerShell runs", "insufficient_scope", 'scope="a $(b)"'],
  [
    "claims that a terminal acts on",
    "insufficient_claims",
    `claims="${btoa('{"a":"\\u202e\\u009b2J"}')}"`,
  ],
  ["no part at all", "insufficient_user_authentication", ""],
  ["no challenge at all", "", "insufficient_scope, ,,="],
];

for (const [name, error, parameter] of UNUSABLE) {
  test.asked(`unusable: ${name} is an error, and asks nobody`, async (context) => {
    const parts = [error && `error="${error}"`, parameter].filter(Boolean).join(", ");
    const challenge = error === "" ? parts : `Bearer ${parts}`;
    context.api.script.push(demanding(challenge), demanding(challenge));
    await rejectsWith("unauthorized", () => context.session.get("thing"));
    context.api.script.length = 0;
    const before = context.stored();
    context.api.script.push(demanding(challenge, 403));
    await rejectsWith("api_error", () => context.session.get("thing"));
    assertEquals([context.links.length, context.stored()], [0, before]);
  });
}

test("a token that the API echoes is not in it", async (context) => {
  const token = await context.session.accessToken();
  const echo = `Bearer error="insufficient_scope", scope="${token}"`;
  const error = await demandOf(context, demanding(echo, 403));
  assertEquals(error.code, "api_error");
  assertNoSecret(error, [token]);
});

test("signIn() wants a demand, and a sign-in", async (world) => {
  const { session } = world;
  await rejectsWith("invalid_options", () => session.signIn({ for: new Error("other") as never }));
  await rejectsWith("invalid_options", () => session.signIn({} as never));
  const key = { apiKey: "test-api-key", apiSecret: "test-api-secret" };
  const byKey = await createSession({ ...key, apiHost: world.api.apiHost });
  await rejectsWith("no_access_token", () => byKey.signIn({ for: { demand: { maxAge: 0 } } }));
  world.api.script.push(demanding(STEP_UP, 403));
  await rejectsWith("api_error", () => byKey.get("thing"));
});

test(
  "where the flow is not chosen, a demand goes to the browser, and a scope to a device",
  async (context) => {
    const { links, session } = context;
    context.provider.discovery.acr_values_supported = ["gold"];
    await session.signIn({ for: { demand: { acrValues: "gold" } } });
    assertEquals(links.length, 1);
  },
  [GOLD],
  { flow: "auto" },
);

const DEVICE: [name: string, challenge: string, isTaken: boolean][] = [
  ["acr_values", STEP_UP, true],
  ["claims", ENTRA, false],
  ["max_age", NEWER, true],
  ["scope", WIDER, true],
];

for (const [name, challenge, isTaken] of DEVICE) {
  Deno.test(`demand: the device flow takes ${name} where it was chosen: ${isTaken}`, async () => {
    await using world = await scriptedProviderWorld();
    const session = await world.signIn({ flow: "device" });
    world.provider.reset();
    world.api.script.push(demanding(challenge), demanding(challenge));
    const error = await assertRejects(() => session.get("thing"), ApiError);
    if (!isTaken) {
      const sign = () => session.signIn({ for: error });
      await rejectsWith("device_flow_unsupported", sign, "device flow", 'flow: "browser"');
      return;
    }
    const auth_time = Math.round(Date.now() / 1000);
    const id_token = await world.provider.idToken({ acr: "gold", auth_time });
    world.provider.script.token.push((_, form) =>
      form.get("grant_type") === "refresh_token"
        ? json({}, 500)
        : world.provider.tokens({ id_token, scope: "openid things.write" })
    );
    await session.signIn({ for: error });
    const [form] = world.provider.requests.filter(({ path }) => path.endsWith("/device"));
    const { acr_values, max_age, scope } = form!.form;
    const { acrValues, maxAge, scope: wider = "openid" } = error.demand!;
    assertEquals([acr_values, max_age], [acrValues, maxAge?.toString()]);
    assertStringIncludes(scope!, wider);
  });
}
