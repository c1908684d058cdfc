import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { statedByEntra } from "../../../client/provider/discovery.ts";
import { json } from "../../support/http_server.ts";
import { makeSigningKey } from "../../support/jwt.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOST = "https://login.microsoftonline.com";
const US_HOST = "https://login.microsoftonline.us";
const TEMPLATE = `${HOST}/{tenantid}/v2.0`;
const WORK = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";
const PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad";

function of(tenant: string, host = HOST): Record<string, unknown> {
  return { iss: `${host}/${tenant}/v2.0`, tid: tenant };
}

interface EntraRow {
  what: string;
  /** @default {common} */
  issuer?: string;
  /** What discovery states. @default {the template} */
  stated?: string;
  claims: Record<string, unknown>;
  /** For which issuer the key says that it signs. */
  keyIssuer?: unknown;
}

async function entraWorld(
  { issuer = `${HOST}/common/v2.0`, stated = TEMPLATE, claims, keyIssuer }: EntraRow,
): Promise<ProviderWorld<ScriptedProvider>> {
  const world = await scriptedProviderWorld({ issuer, discovery: { issuer: stated } });
  const { provider } = world;
  const keys = [{ ...provider.signingKey.publicJwk, issuer: keyIssuer }];
  for (let time = 0; time < 5; time++) {
    provider.script.jwks.push(() => json({ keys }));
    provider.script.token.push(async () =>
      await provider.tokens({ id_token: await provider.idToken(claims) })
    );
  }
  return Object.assign(world, { options: { ...world.options, fetch: provider.fetch } });
}

const TAKEN: EntraRow[] = [
  { what: "common, an account of a company", claims: of(WORK) },
  { what: "common, a personal account", claims: of(PERSONAL) },
  { what: "common with a slash", issuer: `${HOST}/common/v2.0/`, claims: of(WORK) },
  { what: "organizations", issuer: `${HOST}/organizations/v2.0`, claims: of(WORK) },
  {
    what: "consumers",
    issuer: `${HOST}/consumers/v2.0`,
    stated: `${HOST}/${PERSONAL}/v2.0`,
    claims: of(PERSONAL),
  },
  {
    what: "a sovereign cloud",
    issuer: `${US_HOST}/common/v2.0`,
    stated: `${US_HOST}/{tenantid}/v2.0`,
    claims: of(WORK, US_HOST),
  },
  { what: "a key for all tenants", claims: of(WORK), keyIssuer: TEMPLATE },
  { what: "a key for that tenant", claims: of(WORK), keyIssuer: `${HOST}/${WORK}/v2.0` },
  {
    what: "a single tenant",
    issuer: `${HOST}/${WORK}/v2.0`,
    stated: `${HOST}/${WORK}/v2.0`,
    claims: of(WORK),
  },
];

for (const row of TAKEN) {
  Deno.test(`Entra: ${row.what}: signs in, and refreshes`, async () => {
    await using world = await entraWorld(row);
    const session = await createSession(world.options);
    assertEquals(await session.accessToken(), world.stored().id_token);
    assertEquals(await session.accessToken({ forceRefresh: true }), world.stored().id_token);
    assertEquals(world.codes.length, 1);
  });
}

const REFUSED_TOKENS: EntraRow[] = [
  { what: "another tenant in iss than in tid", claims: { ...of(WORK), tid: OTHER } },
  { what: "no tid", claims: { ...of(WORK), tid: undefined } },
  { what: "the template as iss and no tid", claims: { iss: TEMPLATE, tid: undefined } },
  { what: "the template as iss and as tid", claims: { iss: TEMPLATE, tid: "{tenantid}" } },
  { what: "a tid that is no GUID", claims: of("common") },
  { what: "a tid with a path in it", claims: of(`${WORK}/../${OTHER}`) },
  { what: "an iss of another host", claims: of(WORK, "https://login.example.com") },
  { what: "an iss of another cloud", claims: of(WORK, US_HOST) },
  { what: "an iss of version 1", claims: { ...of(WORK), iss: `https://sts.windows.net/${WORK}/` } },
  { what: "a key for personal accounts", claims: of(WORK), keyIssuer: `${HOST}/${PERSONAL}/v2.0` },
  { what: "a key for another tenant", claims: of(WORK), keyIssuer: `${HOST}/${OTHER}/v2.0` },
  { what: "a key for another cloud", claims: of(WORK), keyIssuer: `${US_HOST}/{tenantid}/v2.0` },
  { what: "a key for nobody sensible", claims: of(WORK), keyIssuer: 5 },
  {
    what: "a personal account at organizations",
    issuer: `${HOST}/organizations/v2.0`,
    claims: of(PERSONAL),
  },
  {
    what: "a company's account at consumers",
    issuer: `${HOST}/consumers/v2.0`,
    stated: `${HOST}/${PERSONAL}/v2.0`,
    claims: of(WORK),
  },
  {
    what: "another tenant's account at a single tenant",
    issuer: `${HOST}/${WORK}/v2.0`,
    stated: `${HOST}/${WORK}/v2.0`,
    claims: of(OTHER),
  },
];

for (const row of REFUSED_TOKENS) {
  Deno.test(`Entra: an ID token with ${row.what} is refused`, async () => {
    await using world = await entraWorld(row);
    await rejectsWith("id_token_invalid", () => createSession(world.options));
    assertEquals(world.backend.get(world.key), undefined);
  });
}

Deno.test("Entra: an ID token of another tenant is refused at a refresh, too", async () => {
  await using world = await entraWorld({ what: "", claims: of(WORK) });
  const session = await createSession(world.options);
  const { id_token } = world.stored();
  world.provider.script.token.unshift(async () =>
    await world.provider.tokens({
      id_token: await world.provider.idToken({ ...of(WORK), tid: OTHER }),
    })
  );
  await rejectsWith("id_token_invalid", () => session.accessToken({ forceRefresh: true }));
  assertEquals(world.stored().id_token, id_token);
});

Deno.test("Entra: a refresh does not go over to another tenant, whose sub may be the same", async () => {
  await using world = await entraWorld({ what: "", claims: of(WORK) });
  const session = await createSession(world.options);
  const { id_token } = world.stored();
  world.provider.script.token.unshift(async () =>
    await world.provider.tokens({ id_token: await world.provider.idToken(of(OTHER)) })
  );
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("id_token_invalid", run, "another person");
  assertEquals(world.stored().id_token, id_token);
});

Deno.test("Entra: the signature is checked, also where the tenant fits", async () => {
  await using world = await entraWorld({ what: "", claims: of(WORK) });
  const key = { ...await makeSigningKey(), kid: world.provider.signingKey.kid };
  world.provider.script.token.unshift(async () =>
    await world.provider.tokens({ id_token: await world.provider.idToken(of(WORK), { key }) })
  );
  await rejectsWith("id_token_invalid", () => createSession(world.options));
});

const REFUSED_DISCOVERY: [what: string, issuer: string, stated: string][] = [
  ["a template at a single tenant", `${HOST}/${WORK}/v2.0`, TEMPLATE],
  ["another tenant at a single tenant", `${HOST}/${WORK}/v2.0`, `${HOST}/${OTHER}/v2.0`],
  ["a tenant at common", `${HOST}/common/v2.0`, `${HOST}/${WORK}/v2.0`],
  ["a template at consumers", `${HOST}/consumers/v2.0`, TEMPLATE],
  ["the template of another cloud", `${US_HOST}/common/v2.0`, TEMPLATE],
  ["a template of http:", `${HOST}/common/v2.0`, TEMPLATE.replace("https:", "http:")],
  ["a template with a slash", `${HOST}/common/v2.0`, `${TEMPLATE}/`],
  ["a template that is not Entra's", `${HOST}/common/v2.0`, `${HOST}/{tenant}/v2.0`],
  ["a template at a name like it", `${HOST}/commons/v2.0`, TEMPLATE],
  ["a template at common of version 1", `${HOST}/common`, `https://sts.windows.net/{tenantid}/`],
  [
    "a template at another host",
    "https://login.example.com/common/v2.0",
    "https://login.example.com/{tenantid}/v2.0",
  ],
  ["Entra's template at another host", "https://login.example.com/common/v2.0", TEMPLATE],
];

for (const [what, issuer, stated] of REFUSED_DISCOVERY) {
  Deno.test(`Entra: a discovery document with ${what} is refused`, async () => {
    await using world = await entraWorld({ what, issuer, stated, claims: of(WORK) });
    await rejectsWith("provider_invalid", () => createSession(world.options), "another issuer");
    assertEquals(paths(world.provider.requests).length, 1);
  });
}

Deno.test("statedByEntra: only what stands for many tenants, on Entra's hosts", () => {
  assertEquals(statedByEntra(`${HOST}/common/v2.0`), TEMPLATE);
  assertEquals(statedByEntra(`${HOST}/consumers/v2.0`), `${HOST}/${PERSONAL}/v2.0`);
  for (
    const issuer of [
      `${HOST}/${WORK}/v2.0`,
      "http://login.microsoftonline.com/common/v2.0",
      "https://login.microsoftonline.com.example.com/common/v2.0",
      `${HOST}/common/v2.0/x`,
      `${HOST}/x/common/v2.0`,
    ]
  ) {
    assertEquals(statedByEntra(issuer), undefined, issuer);
  }
});
