import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runCli } from "../../../../client/cli.ts";
import { readClaims } from "../../../../client/entry/bearer.ts";
import { CLAIMS, demanding, ENTRA, STEP_UP, WIDER } from "../../../support/demanding_api.ts";
import { json, startHttpServer } from "../../../support/http_server.ts";
import { ACCOUNT } from "../../../support/oidc_config.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { OwnStreams } from "../../../support/own_streams.ts";
import { startTrackingApi } from "../../../support/tracking_api.ts";
import { argumentsIn, cliTest, type CliWorld, NO_CLIENT } from "../cli_world.ts";

const PLACE = "/.well-known/oauth-protected-resource/v1/";

interface Api {
  /** What a person types. */
  address: string;
  metadata: Record<string, unknown>;
  /** The answer in the place of the metadata. */
  answer?: () => Response;
  /** The challenge of a call without a token. */
  challenge?: string;
  requests: Request[];
}

/** A test with a person who has nothing but an API's address. */
function addressTest(name: string, run: (world: CliWorld, api: Api) => Promise<void>): void {
  cliTest(`address: ${name}`, async (world) => {
    Object.assign(world.env, NO_CLIENT);
    const requests: Request[] = [];
    await using server = startHttpServer((request) => {
      requests.push(request);
      const { pathname } = new URL(request.url);
      if (pathname !== PLACE) {
        return api.challenge ? demanding(api.challenge)() : json({ path: pathname });
      }
      return api.answer?.() ?? json(api.metadata);
    });
    const address = `${server.origin}/v1/`;
    const metadata = { resource: address, authorization_servers: [world.provider.issuer] };
    const api: Api = { address, metadata, requests };
    await run(world, api);
  });
}

const settings = async ({ settingsPath }: CliWorld) =>
  JSON.parse(await Deno.readTextFile(settingsPath).catch(() => "null"));

addressTest("login signs in, keeps the settings, and calls go on by these", async (world, api) => {
  api.metadata.scopes_supported = ["email"];
  const { issuer, clientId } = world.provider;
  const line = `login ${api.address} --issuer ${issuer} --client-id ${clientId}`;
  await world.says(line, 0, `"issuers": [`, `"audience": "${api.address}"`, "Signed in");
  assertEquals(await settings(world), {
    apiHost: api.address,
    audience: api.address,
    scope: "openid profile email offline_access",
    issuer,
    clientId,
  });
  assert(api.requests.every(({ headers }) => !headers.has("authorization")), "a token was sent");
  const { json } = await world.says("api things", 0);
  assertEquals(json, { path: "/v1/things" });
  assert(api.requests.at(-1)!.headers.get("authorization")!.startsWith("Bearer "));
  // Confirmed once.
  await world.says(`login ${api.address}`, 0, "Already signed in");
});

addressTest("config discover writes the settings, and asks no provider", async (world, api) => {
  const { issuer } = world.provider;
  const line = `config discover ${api.address} --issuer ${issuer} --client-id c --profile staging`;
  const { stdout } = await world.says(line, 0);
  const { profiles } = await settings(world);
  const kept = { apiHost: api.address, audience: api.address, issuer, clientId: "c" };
  assertEquals(profiles, { staging: kept });
  assertStringIncludes(stdout, api.address);
  assertEquals(world.provider.requests, []);
});

addressTest("the address is the API's own, with its last slash or without", async (world, api) => {
  const { issuer } = world.provider;
  const typed = api.address.replace(/\/$/, "");
  for (const address of [typed, api.address]) {
    await world.says(`config discover ${address} --issuer ${issuer} --client-id c`, 0);
    const { apiHost, audience } = await settings(world);
    assertEquals([apiHost, audience], [address, api.address]);
  }
});

addressTest("without a client the message is a text for the administrator", async (world, api) => {
  const { issuer } = world.provider;
  const commands = { "login": "sign in", "config discover": "change the settings" };
  for (const [command, action] of Object.entries(commands)) {
    const line = `${command} ${api.address} --issuer ${issuer}`;
    await world.says(
      line,
      2,
      `Cannot ${action}: `,
      "--client-id",
      "administrator",
      `\nissuer: ${issuer}\n`,
      `\naudience: ${api.address}\n`,
      "redirect URI: http://127.0.0.1/callback\n",
    );
  }
  assertEquals([await settings(world), world.provider.requests], [null, []]);
});

addressTest("an issuer that nobody confirms is not used", async (world, api) => {
  const line = `login ${api.address} --client-id c`;
  await world.says(line, 2, world.provider.issuer, "Give one as --issuer");
  await world.says(`${line} --issuer https://other.example.com`, 2, "Give one as --issuer");
  assertEquals([await settings(world), world.provider.requests], [null, []]);
});

addressTest(
  "settings of another issuer, and an API that names another, change nothing",
  async (world, api) => {
    const kept = { issuer: "https://own.example.com", clientId: "own", apiHost: api.address };
    await world.write(kept);
    await world.says(`login ${api.address}`, 2, "--profile NAME");
    const { issuer } = world.provider;
    await world.says(`login ${api.address} --issuer ${issuer}`, 2, "--profile NAME");
    assertEquals([await settings(world), world.provider.requests], [kept, []]);
  },
);

/** Variables beside the sign-in that an API names, and those of them that win over what is kept. */
const IN_THE_WAY: [env: Record<string, string>, named: string][] = [
  [
    { VM_OIDC_ISSUER: "https://other.example.com", VM_OIDC_CLIENT_ID: "b" },
    "ISSUER VM_OIDC_CLIENT_ID",
  ],
  [{ VM_OIDC_CLIENT_ID: "b", VM_OIDC_SCOPE: "openid" }, "CLIENT_ID"],
  [{ VM_OIDC_AUDIENCE: "other" }, "AUDIENCE"],
  [{ VM_OIDC_PROFILE: "staging" }, "PROFILE"],
];

addressTest(
  "where variables win over what is kept nobody signs in, and the printed command helps",
  async (world, api) => {
    const { issuer, clientId } = world.provider;
    const line = `login ${api.address} --issuer ${issuer} --client-id ${clientId}`;
    const staging = { staging: { issuer: "https://staging.example.com", clientId: "s" } };
    await world.write({ profiles: staging });
    for (const [env, named] of IN_THE_WAY) {
      world.provider.reset();
      const advice = [`unset VM_OIDC_${named}\n`, "--profile"];
      await world.says(line, 2, "Cannot sign in: variables win", ...advice, { env });
      assertEquals(world.provider.requests, []);
      await world.says(line.replace("login", "config discover"), 0, ...advice, { env });
      await world.says(`${line} --profile own`, 0, "!unset", { env });
      const { json } = await world.says("status --json --profile own", 0, { env });
      assertEquals([json.issuer, json.client_id], [issuer, clientId]);
    }
    await world.says(line, 0, "Signed in", "!unset");
    const key = { VM_API_KEY: "k", VM_API_SECRET: "s", VM_API_URL: "https://x.example.com/" };
    await world.says(line, 2, "unset VM_API_KEY VM_API_URL\n", { env: key });
    const same = {
      VM_OIDC_ISSUER: `${issuer}/`,
      VM_OIDC_CLIENT_ID: clientId,
      VM_OIDC_FLOW: "device",
    };
    await world.says(line, 0, "!unset", { env: same });
  },
);

addressTest("what flags say beside an address counts, and is kept with it", async (world, api) => {
  const { issuer, clientId } = world.provider;
  const line = `login ${api.address} --issuer ${issuer}/ --client-id ${clientId}`;
  const own = "--audience other --scope openid --flow device --login-hint anna --no-open";
  await world.says(`${line} ${own}`, 0, "Signed in");
  const [form] = world.provider.requests.filter(({ path }) => path.endsWith("/device/auth"));
  assertEquals([form!.form.scope, form!.form.audience], ["openid", "other"]);
  assertEquals(await settings(world), {
    apiHost: api.address,
    audience: "other",
    scope: "openid",
    flow: "device",
    loginHint: "anna",
    issuer,
    clientId,
  });
  await world.says("status", 0, "Signed in");
  const bound = "--profile bound --dpop --flow browser --listen 127.0.0.1:8765";
  await world.says(`${line.replace("login", "config discover")} ${bound}`, 0);
  const { dpop, listen } = (await settings(world)).profiles.bound;
  assertEquals([dpop, listen], [true, "127.0.0.1:8765"]);
});

addressTest("the address of an endpoint gives way to that of its API", async (world, api) => {
  const { issuer, clientId } = world.provider;
  const rest = `--issuer ${issuer} --client-id ${clientId}`;
  const place = new URL(PLACE, api.address).href;
  api.challenge = `Bearer resource_metadata="${place}"`;
  await world.says(`config discover ${api.address}things ${rest}`, 0);
  assertEquals((await settings(world)).apiHost, `${api.address}things`);
  await world.says(`config discover ${api.address} ${rest}`, 0);
  assertEquals((await settings(world)).apiHost, api.address);
});

addressTest("settings of another API are taken out by the printed command", async (world, api) => {
  const { issuer, clientId } = world.provider;
  await world.write({ apiHost: "https://old.example.com/", issuer, clientId });
  const line = `config discover ${api.address} --issuer ${issuer}`;
  await world.says(line, 2, "config unset issuer apiHost audience");
  await world.says("config unset issuer apiHost audience", 0);
  await world.says(line, 0);
  assertEquals((await settings(world)).apiHost, api.address);
});

addressTest("an issuer that is not the API's own is told by its name", async (world, api) => {
  const other = "https://other.example.com";
  const line = `login ${api.address} --client-id c --issuer ${other}`;
  const { stderr } = await world.says(line, 2);
  assertStringIncludes(stderr.slice(stderr.indexOf("error (")), other);
});

addressTest("an API that says nothing of itself is told, by code", async (world, api) => {
  const code = "error (api_metadata_invalid)";
  api.metadata = {};
  await world.says(`login ${api.address}`, 1, code, "--issuer");
  api.answer = () => json({}, 404);
  const place = new URL(PLACE, api.address).href;
  // login does not take --api-host.
  await world.says(`login ${api.address}`, 1, code, `${place} answered 404`, "!--api-host");
  assertEquals(await settings(world), null);
});

addressTest("an address that cannot be used is told in words of the address", async (world) => {
  for (const command of ["login", "config discover"]) {
    const says = (address: string, code: number, ...words: string[]) =>
      world.says(`${command} ${address}`, code, "!--api-host", "!which shows where", ...words);
    await says("http://a.example", 2, "insecure_url", "the address is http://a.example");
    await says("a.example", 2, "the address is not an http(s) URL");
    await says("https://localhost:1/", 1, "api_unreachable", "Check the address, the network");
  }
});

const FIRST = "https://first.example.com";
/** `null` is Ctrl-C, or no terminal. */
const TYPED: [typed: string | null, code: number, hasTerminal?: boolean][] = [
  ["second", 0],
  ["https://second.example.org", 2],
  ["y", 0],
  ["Y", 0],
  ["n", 2],
  ["", 2],
  [null, 2],
  [null, 130, true],
];

for (const [typed, code, hasTerminal = false] of TYPED) {
  addressTest(
    `in a terminal the person chooses one of two issuers by ${JSON.stringify(typed)}: ${code}`,
    async (world, api) => {
      const { issuer } = world.provider;
      const chosen: Record<string, string> = { second: issuer, y: FIRST, Y: FIRST };
      api.metadata.authorization_servers = [FIRST, issuer];
      const asked: unknown[] = [];
      const { prompt } = globalThis;
      // Enter alone gives the second argument.
      globalThis.prompt = (text, first) => {
        asked.push(text?.includes(FIRST));
        Deno.stdin.isTerminal = () => hasTerminal;
        return typed === "second" ? `${issuer}/` : typed || (first ?? typed);
      };
      try {
        await world.says(`config discover ${api.address} --client-id c`, code);
      } finally {
        globalThis.prompt = prompt;
      }
      assertEquals(asked, [true]);
      assertEquals((await settings(world))?.issuer, chosen[`${typed}`]);
      // Confirmed once, and for this API alone.
      if (code === 0) await world.says(`config discover ${api.address} --client-id c`, 0);
    },
  );
}

const DEMANDS: [challenge: string, flags: string[]][] = [
  [STEP_UP, ["--parameter", "acr_values=gold silver"]],
  [ENTRA, ["--parameter", `claims=${CLAIMS}`]],
  [WIDER, ["--parameter", "scope=things.write"]],
];

for (const [challenge, flags] of DEMANDS) {
  cliTest(
    `api: the demand ${flags} is exit code 4, with the command that answers it`,
    async (world) => {
      await using api = await startTrackingApi();
      await world.signIn();
      api.script.push(demanding(challenge), demanding(challenge));
      const line = `api things --api-host ${api.apiHost} --client-id ${world.provider.clientId}`;
      const { stdout, stderr } = await world.says(line, 4, "error (reauthentication_required)");
      assertEquals(stdout, "");
      const command = stderr.split("\n").find((one) => one.includes("validmind-auth login"))!;
      const args = argumentsIn(command.trim());
      const known = ["login", "--client-id", world.provider.clientId];
      assertEquals(args.slice(0, 3), known);
      for (const word of flags) assert(args.includes(word), `${word} is not in ${command}`);
    },
  );
}

cliTest("login: a sign-in that serves is made anew by an API's demand, checked", async (world) => {
  const { access_token } = await world.signIn();
  // The provider's device flow ignores it.
  const line = "login --flow device --parameter acr_values=gold";
  await world.says(line, 1, "error (demand_unmet)", 'flow: "browser"');
  assertEquals(world.stored().access_token, access_token);
  await world.backend.delete(world.key);
  await world.says(line, 1, "error (demand_unmet)", 'flow: "browser"');
  assertEquals(world.backend.get(world.key), undefined);
});

cliTest("api: in a terminal the person is asked, told why; the call is repeated", async (world) => {
  await using api = await startTrackingApi();
  const scope = ["--scope", "openid offline_access"];
  assertEquals((await world.run(["login", ...scope])).code, 0);
  const wider = 'Bearer error="insufficient_scope", scope="email"';
  for (const isTerminal of [false, true]) {
    api.reset();
    api.script.push(demanding(wider, 403));
    using _ = new OwnEnv(world.env);
    using streams = new OwnStreams({ terminal: { columns: 80, rows: 24 } });
    Object.assign(Deno.stdin, { isTerminal: () => isTerminal });
    const code = await runCli(["api", "things", "--api-host", api.apiHost, ...scope]);
    const { stdout, stderr } = streams.written;
    assertEquals([code, api.requests.length], isTerminal ? [0, 2] : [4, 1], stderr);
    assertStringIncludes(stderr, 'demands another sign-in: {"scope":"email"}');
    assertEquals(stdout.includes("things"), isTerminal);
  }
  assertEquals(world.stored().scope, "openid offline_access email");
  for (const env of [{}, { VM_OIDC_INTERACTIVE: "0" }] as Record<string, string>[]) {
    api.reset();
    api.script.push(demanding(wider, 403));
    using _ = new OwnEnv({ ...world.env, ...env });
    using streams = new OwnStreams({ terminal: { columns: 80, rows: 24 } });
    Object.assign(Deno.stdin, { isTerminal: () => true });
    // Where nothing is stored, the command asks nobody without --login.
    const profile = "VM_OIDC_INTERACTIVE" in env ? [] : ["--profile", "other"];
    const code = await runCli(["api", "things", "--api-host", api.apiHost, ...scope, ...profile]);
    assertEquals(
      [code, api.requests.length],
      [4, 1 - profile.length / 2],
      streams.written.stderr,
    );
  }
});

/** Signs in by a command, as a person in the browser. */
async function loginAs(world: CliWorld, flags: readonly string[], login: string) {
  using _ = new OwnEnv(world.env);
  using streams = new OwnStreams();
  let hasEnded = false;
  const running = runCli(["login", "--flow", "browser", ...flags]).finally(() => hasEnded = true);
  const link = () => /\S+[?&]state=\S+/.exec(streams.written.stderr)?.[0];
  while (link() === undefined && !hasEnded) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const query = new URL(link()!).searchParams;
  await world.provider.follow(link()!, { login });
  return { code: await running, query, ...streams.written };
}

const OWN = ACCOUNT.sub as string;
const OTHER = "somebody@example.com";
const MORE = "openid profile email offline_access phone";

/** The commands that an API's demand leads to, and one that nobody demanded. */
const ANSWERS: [flags: string[], login: string, signedIn: boolean, error?: string][] = [
  [["--parameter", "max_age=0"], OWN, false],
  [["--parameter", "max_age=0"], OWN, true],
  [["--parameter", "max_age=0"], OTHER, false],
  [["--parameter", "max_age=0"], OTHER, true, "id_token_invalid"],
  [["--parameter", "acr_values=gold"], OWN, false, "demand_unmet"],
  [["--parameter", "acr_values=gold"], OWN, true, "demand_unmet"],
  [["--parameter", "scope=email"], OWN, false],
  [["--parameter", "scope=email"], OWN, true],
  [["--parameter", "scope=email"], OTHER, true, "id_token_invalid"],
  [["--parameter", "scope=things.write"], OWN, false, "demand_unmet"],
  [["--parameter", "scope=things.write"], OWN, true, "demand_unmet"],
  [["--parameter", `claims=${CLAIMS}`], OWN, true],
  [["--scope", MORE], OTHER, true],
];

for (const [flags, login, signedIn, error] of ANSWERS) {
  const state = signedIn ? "somebody is signed in" : "nobody is signed in";
  cliTest(`login: ${flags} by ${login}, ${state}: ${error ?? "new tokens"}`, async (world) => {
    const before = signedIn ? await world.signIn() : undefined;
    const { code, query, stderr } = await loginAs(world, flags, login);
    assertEquals(code, error === undefined ? 0 : 1, stderr);
    const stored = world.backend.get(world.key);
    if (error !== undefined) {
      assertStringIncludes(stderr, `error (${error})`);
      assertEquals(stored, before);
      return;
    }
    assert(stored!.access_token !== before?.access_token, "the stored tokens count as new");
    assertEquals(readClaims(`${stored!.id_token}`)!.sub, login);
    const [name, value] = flags[1]!.split(/=(.*)/);
    if (value !== undefined && name !== "scope") assertEquals(query.get(name!), value);
  });
}

const INSECURE = "http://login.example.com";

/** Answers at the place of the metadata that lead to no sign-in. */
const UNUSABLE: [name: string, change: Record<string, unknown> | (() => Response), code: string][] =
  [
    ["huge", { more: "x".repeat(1_000_000) }, "api_metadata_invalid"],
    ["not JSON", () => new Response("<html>Welcome</html>"), "api_metadata_invalid"],
    ["of another resource", { resource: "http://127.0.0.1:1/v1/" }, "api_metadata_invalid"],
    ["with an issuer of http:", { authorization_servers: [INSECURE] }, "insecure_url"],
    ["with a foreign issuer", { authorization_servers: ["https://evil.example.com"] }, "usage"],
    [
      "elsewhere, by a redirect",
      () => Response.redirect("https://evil.example.com/metadata"),
      "api_unreachable",
    ],
    ["that lies about DPoP", { dpop_bound_access_tokens_required: "yes" }, "api_metadata_invalid"],
    [
      "with DPoP by RS256 alone",
      { dpop_bound_access_tokens_required: true, dpop_signing_alg_values_supported: ["RS256"] },
      "api_metadata_invalid",
    ],
    ["with tokens in the body", { bearer_methods_supported: ["body"] }, "api_metadata_invalid"],
  ];

for (const [name, change, code] of UNUSABLE) {
  addressTest(`metadata ${name}: nothing is asked, sent or stored`, async (world, api) => {
    if (typeof change === "function") api.answer = change;
    else Object.assign(api.metadata, change);
    const issuer = code === "insecure_url" ? INSECURE : world.provider.issuer;
    const line = `login ${api.address} --client-id c --issuer ${issuer}`;
    await world.says(line, ["usage", "insecure_url"].includes(code) ? 2 : 1, `error (${code})`);
    assertEquals([await settings(world), world.provider.requests], [null, []]);
    assertEquals(await world.backend.get(world.key), undefined);
    assert(api.requests.every(({ headers }) => !headers.has("authorization")), "a token was sent");
  });
}

addressTest("broken metadata is not told in the words of a library", async (world, api) => {
  const line = `login ${api.address} --client-id c --issuer ${world.provider.issuer}`;
  const answers = [
    () => new Response("<html>"),
    () => new Response("{", { headers: { "content-type": "application/json" } }),
    () => json({}, 500),
    () => json([]),
    () => json({ resource: "http://127.0.0.1:1/v1/" }),
  ];
  for (const answer of answers) {
    api.answer = answer;
    const words = "error (api_metadata_invalid)";
    await world.says(line, 1, words, '!"response"', "!conform", "!JSON attribute");
  }
});

addressTest("DPoP that the provider does not offer is an error", async (world, api) => {
  api.metadata.dpop_bound_access_tokens_required = true;
  const { issuer, clientId } = world.provider;
  const line = `login ${api.address} --client-id ${clientId} --issuer ${issuer}`;
  await world.says(line, 1, "error (dpop_unsupported)");
  assertEquals(await world.backend.get(world.key), undefined);
  assert(api.requests.every(({ headers }) => !headers.has("authorization")), "a token was sent");
});
