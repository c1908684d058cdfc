import { assert, assertEquals } from "@std/assert";
import { delay as realDelay } from "../../../backends/common/promises.ts";
import { createSession, type ValidMindAuthError } from "@validmind/auth";
import { hang, json, resetConnection, truncated } from "../../support/http_server.ts";
import { oauthError, type ScriptHandler } from "../../support/scripted_provider.ts";
import { scriptedProviderWorld, type ScriptedWorld, test } from "../../support/provider_world.ts";
import { replace } from "../../support/replace.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const polls = ({ provider }: ScriptedWorld) =>
  provider.requests.filter(({ path }) => path === "/token").length;

test("device flow: shows page, code, end and issuer, and asks for the scope", async (world) => {
  const { issuer } = world.provider;
  const start = world.clock.now();
  await world.signIn({ scope: "openid a b" });
  const shown = {
    verificationUri: `${issuer}/activate`,
    userCode: "WDJB-MJHT",
    verificationUriComplete: `${issuer}/activate?user_code=WDJB-MJHT`,
    expiresAt: new Date(start + 600_000),
    issuer,
    scope: "openid a b",
  };
  assertEquals(world.codes, [shown]);
  const [, device, poll] = world.provider.requests;
  assertEquals([device?.form.scope, device?.form.client_id], ["openid a b", "validmind-test"]);
  assertEquals(["audience" in device!.form, "audience" in poll!.form], [false, false]);
  world.provider.script.device.push(() =>
    world.provider.device({ verification_uri_complete: undefined })
  );
  await world.signIn({ profile: "other" });
  assertEquals("verificationUriComplete" in world.codes[1]!, false);
});

const PENDING = () => oauthError("authorization_pending");
const SLOW = () => oauthError("slow_down");
const DOWN = () =>
  new Response("<html>Please sign in to the hotel's network</html>", {
    status: 502,
    headers: { "content-type": "text/html" },
  });
const busy = (status: number, seconds: string) => () =>
  new Response("busy", { status, headers: { "retry-after": seconds } });
const times = (count: number, handler: ScriptHandler) => Array<ScriptHandler>(count).fill(handler);

/** The answers to polls, and the waits in seconds; words of the error where the code expires. */
const POLLS: [
  what: string,
  interval: number,
  deviceCodeTtl: number,
  answers: ScriptHandler[],
  waits: number[],
  words?: string,
][] = [
  [
    "slow_down adds five seconds for good",
    ...[2, 600] as const,
    [PENDING, SLOW, PENDING, () => oauthError("slow_down", 429), PENDING],
    [2, 2, 7, 7, 12, 12],
  ],
  [
    "a slow_down with Retry-After waits as long as it says, once",
    ...[2, 600] as const,
    [() => oauthError("slow_down", 400, { "retry-after": "30" }), PENDING],
    [2, 30, 7],
  ],
  ["a code is used to its end", 5, 12, [PENDING, PENDING], [5, 5, 1.75]],
  [
    "a fault lengthens the waits up to a minute",
    ...[1, 600] as const,
    [
      DOWN,
      resetConnection,
      () => truncated('{"error":'),
      () => json({ error: "slow down please" }, 429),
      DOWN,
      () => json({ error: "server_error" }, 500),
      () => new Response(null, { status: 503 }),
    ],
    [1, 2, 4, 8, 16, 32, 60, 60],
  ],
  [
    "once the provider answers again, the interval is back",
    ...[3, 600] as const,
    [DOWN, DOWN, SLOW, DOWN, PENDING],
    [3, 6, 12, 8, 16, 8],
  ],
  ["never sooner than a long interval", 90, 600, [DOWN, DOWN], [90, 90, 90]],
  ["Retry-After of a fault", 1, 600, [busy(429, "7"), PENDING, busy(503, "1")], [1, 7, 1, 2]],
  ["an approval in an outage is found before the end", 5, 60, times(3, DOWN), [5, 10, 20, 24.75]],
  ["an outage until the end", 5, 60, times(9, DOWN), [5, 10, 20, 24.75], "status 502"],
  ["a fault that passed", 5, 12, [DOWN, ...times(9, PENDING)], [5, 6.75], "nobody approved"],
  ["the last poll, sooner than the interval", 30, 70, times(9, DOWN), [30, 39.75], "502"],
  ["the last poll, a second before the end", 30, 61, times(9, DOWN), [30, 30.75], "502"],
  ["the last poll, of a short code", 30, 59, times(9, DOWN), [30, 28.75], "502"],
];

for (const [what, interval, deviceCodeTtl, answers, waits, words] of POLLS) {
  Deno.test(`device flow: ${what}`, async () => {
    await using world = await scriptedProviderWorld({ interval, deviceCodeTtl });
    world.provider.script.token.push(...answers);
    if (words === undefined) await world.signIn();
    else {
      const error = await rejectsWith("device_code_expired", () => world.signIn(), words);
      const isFault = words.includes("502");
      assertEquals(error.message.includes("nobody approved"), !isFault);
      const { code } = (error.cause ?? {}) as Partial<ValidMindAuthError>;
      assertEquals(code, isFault ? "provider_unavailable" : undefined);
    }
    assertEquals(world.clock.delays, waits.map((seconds) => seconds * 1000));
  });
}

test("device flow: no lifetime means 900 seconds", async (world) => {
  world.provider.script.device.push(() =>
    world.provider.device({ expires_in: undefined, interval: "100" })
  );
  world.provider.autoApprove = false;
  await rejectsWith("device_code_expired", () => world.signIn());
  assertEquals(world.clock.delays, [...Array(8).fill(100_000), 99_750]);
});

Deno.test("device flow: the signal ends each request, and the wait for a poll, with its reason", async () => {
  for (const endpoint of ["discovery", "device", "token", undefined] as const) {
    await using world = await scriptedProviderWorld({ interval: 60 });
    const controller = new AbortController();
    const { signal } = controller;
    const handler = (request: Request) => {
      controller.abort("enough");
      return hang(request);
    };
    if (endpoint !== undefined) world.provider.script[endpoint].push(handler);
    const wait = { delay: realDelay, onDeviceCode: () => controller.abort("enough") };
    const options = { signal, ...(endpoint === undefined && wait) };
    assertEquals(await world.signIn(options).catch((reason) => reason), "enough");
    assertEquals(polls(world), endpoint === "token" ? 1 : 0);
  }
});

Deno.test("device flow: a jump of the wall clock does not end a code", async () => {
  await using world = await scriptedProviderWorld({ interval: 5, deviceCodeTtl: 600 });
  const { now } = Date;
  let jump = 0;
  using _now = replace(Date, "now", () => now() + jump);
  world.clock.onDelay = () => void (jump = 11 * 60_000);
  const { now: _, ...options } = world.options;
  world.provider.script.token.push(PENDING);
  await createSession(options);
  assertEquals(world.clock.delays, [5000, 5000]);
});

test("device flow: no poll follows a success, and late keys are waited for", async (world) => {
  world.provider.script.jwks.push(DOWN, DOWN);
  await world.signIn();
  const [poll, ...pauses] = world.clock.delays;
  assertEquals([poll, pauses.length, polls(world)], [1000, 2, 1]);
  for (const [index, ms] of pauses.entries()) {
    const usual = 500 * (index + 1); // and none is regular
    assert(ms >= usual / 2 && ms <= usual * 1.5, `${ms}`);
  }
  world.provider.script.jwks.push(...times(10, DOWN));
  world.provider.reset();
  await rejectsWith("provider_unavailable", () => world.signIn({ profile: "other" }), "/jwks");
  assertEquals(polls(world), 1);
});

Deno.test("a prompt of either flow that fails before the success ends it", async () => {
  const reason = new Error("no display");
  const throws = () => {
    throw reason;
  };
  for (const prompt of [throws, () => Promise.reject(reason)]) {
    await using world = await scriptedProviderWorld();
    const { provider, clock } = world;
    provider.autoApprove = false;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const byBrowser = { flow: "browser", onAuthorizationUrl: prompt } as const;
    for (const options of [byBrowser, { onDeviceCode: prompt }]) {
      const error = await rejectsWith("prompt_failed", () => world.signIn(options));
      assertEquals(error.cause, reason);
    }
    const before = clock.delays.length;
    await (await fetch(provider.issuer)).text(); // time for a poll that should not be
    assertEquals(clock.delays.length, before);
  }
  await using world = await scriptedProviderWorld();
  const gate = Promise.withResolvers<void>();
  const session = await world.signIn({ onDeviceCode: () => gate.promise }); // it stays open
  gate.reject(new Error("closed too late"));
  assertEquals(world.provider.isActive(await session.accessToken()), true);
});
