import { assert, assertEquals, assertRejects } from "@std/assert";
import { readClaims } from "../../../client/entry/bearer.ts";
import { ApiError, type AuthorizationPrompt, type Session } from "../../../mod.ts";
import { json, startHttpServer } from "../../support/http_server.ts";
import { ACCOUNT } from "../../support/oidc_config.ts";
import { oidcProviderWorld, type RealWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** What the API wants now, and whether the provider does as it is asked. */
interface Wishes {
  acr?: string;
  /** A token whose sign-in is too old. */
  old?: string;
  isIgnored?: boolean;
}

interface StepUpWorld extends RealWorld {
  session: Session;
  wishes: Wishes;
  /** The sign-ins in the browser that the person was shown. */
  prompts: AuthorizationPrompt[];
}

/** A real provider that knows levels of authentication, and an API that looks at its tokens for them. */
function stepUpTest(
  name: string,
  run: (world: StepUpWorld) => Promise<void>,
  { login = ACCOUNT.sub as string, flow = "browser" as "browser" | "device" } = {},
): void {
  Deno.test(`step-up: ${name}`, async () => {
    const wishes: Wishes = {};
    await using world = await oidcProviderWorld({
      jwtAccessTokens: true,
      configure(config) {
        config.acrValues = ["gold", "bronze"];
        config.claims = { ...config.claims, acr: null };
        config.extraTokenClaims = ({ oidc }) => {
          const { AuthorizationCode, DeviceCode, RefreshToken } = oidc.entities;
          const { acr, authTime } = (AuthorizationCode ?? DeviceCode ?? RefreshToken)!;
          return { acr, auth_time: authTime };
        };
        const adapter = config.adapter as (name: string) => { upsert: (...all: unknown[]) => void };
        // The pages for development sign in without a level.
        config.adapter = ((kind: string) => {
          const made = adapter(kind);
          const upsert = made.upsert.bind(made);
          return Object.assign(made, {
            upsert(id: string, payload: Record<string, never>, ttl: number) {
              const { params = {}, result } = payload as {
                params?: { acr_values?: string };
                result?: { login?: Record<string, unknown> };
              };
              const [wanted] = (params.acr_values ?? "bronze").split(" ");
              const acr = wishes.isIgnored ? "bronze" : wanted;
              if (kind === "Interaction" && result?.login) Object.assign(result.login, { acr });
              return upsert(id, payload, ttl);
            },
          });
        }) as never;
      },
    });
    await using api = startHttpServer((request) => {
      const token = request.headers.get("authorization")!.replace("Bearer ", "");
      const { acr } = readClaims(token)!;
      const challenge = demandFor(token, acr, wishes);
      if (challenge === undefined) return json({ acr });
      return json({}, 401, { "www-authenticate": challenge });
    });
    const prompts: AuthorizationPrompt[] = [];
    const { now: _, delay: _1, onDeviceCode: _2, ...options } = world.options;
    await world.signIn(); // by the device flow
    const session = await world.signIn({
      ...options,
      flow,
      ...flow === "browser" && { now: undefined, delay: undefined },
      apiHost: `${api.origin}/`,
      authorizationParameters: { prompt: "consent" }, // else it gives no refresh token
      async onAuthorizationUrl(prompt: AuthorizationPrompt) {
        prompts.push(prompt);
        await world.provider.follow(prompt.url, { login });
      },
    } as object);
    world.provider.reset();
    await run(Object.assign(Object.create(world), { session, wishes, prompts }));
  });
}

function demandFor(token: string, acr: unknown, wishes: Wishes) {
  const error = 'Bearer error="insufficient_user_authentication"';
  if (wishes.acr !== undefined && acr !== wishes.acr) return `${error}, acr_values="${wishes.acr}"`;
  if (token === wishes.old) return `${error}, max_age=0`;
  return undefined;
}

async function demandOf({ session }: StepUpWorld) {
  return await assertRejects(() => session.get("thing"), ApiError);
}

stepUpTest("a level of authentication, which a refresh keeps", async (world) => {
  const { session, wishes, prompts } = world;
  assertEquals(await session.get("thing"), { acr: "bronze" });
  wishes.acr = "gold";
  const error = await demandOf(world);
  assertEquals(error.demand, { acrValues: "gold" });
  assertEquals(world.provider.requests, [], "a refresh was spent on it");
  await session.signIn({ for: error });
  assertEquals(await session.get("thing"), { acr: "gold" });
  assertEquals(prompts.length, 1);
  // By a refresh token of the new sign-in: the old one does not go over.
  await session.accessToken({ forceRefresh: true });
  assertEquals(await session.get("thing"), { acr: "gold" });
  const again = await world.signIn({ interactive: false, apiHost: session.apiHost! });
  assertEquals(await again.get("thing"), { acr: "gold" });
});

stepUpTest("a newer sign-in", async (world) => {
  const { session, wishes } = world;
  wishes.old = await session.accessToken();
  const error = await demandOf(world);
  assertEquals(error.demand, { maxAge: 0 });
  await session.signIn({ for: error });
  await session.get("thing");
});

stepUpTest("the device flow takes a level where it was chosen", async (world) => {
  const { session, wishes, prompts } = world;
  wishes.acr = "gold";
  await session.signIn({ for: await demandOf(world) });
  assertEquals(await session.get("thing"), { acr: "gold" });
  assertEquals(prompts, []);
  assert(world.provider.requests.some(({ form }) => form.acr_values === "gold"));
  await session.accessToken({ forceRefresh: true });
  assertEquals(await session.get("thing"), { acr: "gold" });
}, { flow: "device" });

stepUpTest("a provider that ignores it is told as such, and nothing is replaced", async (world) => {
  const before = world.stored();
  Object.assign(world.wishes, { acr: "gold", isIgnored: true });
  const error = await demandOf(world);
  await rejectsWith("demand_unmet", () => world.session.signIn({ for: error }), "acr is bronze");
  assertEquals(world.stored(), before);
  assert(await world.provider.isActive(before.refresh_token!));
});

stepUpTest("another person replaces nothing", async (world) => {
  const before = world.stored();
  world.wishes.acr = "gold";
  const error = await demandOf(world);
  const sign = () => world.session.signIn({ for: error });
  await rejectsWith("id_token_invalid", sign, "another person");
  assertEquals(world.stored(), before);
  await world.session.clear();
  await rejectsWith("id_token_invalid", sign, "another person", "open a new session");
}, { login: "somebody@example.com" });
