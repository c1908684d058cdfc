import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runCli } from "../../../../client/cli.ts";
import { CLAIMS, demanding, ENTRA, STEP_UP, WIDER } from "../../../support/demanding_api.ts";
import { json, startHttpServer } from "../../../support/http_server.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { OwnStreams } from "../../../support/own_streams.ts";
import { startTrackingApi } from "../../../support/tracking_api.ts";
import { argumentsIn, cliTest, type CliWorld, NO_CLIENT } from "../cli_world.ts";

const PLACE = "/.well-known/oauth-protected-resource/v1/";

interface Api {
  /** What a person types. */
  address: string;
  metadata: Record<string, unknown>;
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
      return pathname === PLACE ? json(api.metadata) : json({ path: pathname });
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

addressTest("a flag counts for the call, and what the API says is kept", async (world, api) => {
  const { issuer, clientId } = world.provider;
  const line = `login ${api.address} --issuer ${issuer}/ --client-id ${clientId}`;
  await world.says(`${line} --scope openid`, 0, "Signed in");
  const [form] = world.provider.requests.filter(({ path }) => path.endsWith("/device/auth"));
  assertEquals([form!.form.scope, form!.form.audience], ["openid", api.address]);
  assertEquals(await settings(world), {
    apiHost: api.address,
    audience: api.address,
    issuer,
    clientId,
  });
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
      issuer,
      api.address,
      "redirect URI",
    );
  }
  assertEquals([await settings(world), world.provider.requests], [null, []]);
});

addressTest("an issuer that nobody confirms is not used", async (world, api) => {
  const line = `login ${api.address} --client-id c`;
  await world.says(line, 2, world.provider.issuer, "Give one as --issuer");
  await world.says(`${line} --issuer https://other.example.com`, 2, "no issuer of the API");
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

addressTest("variables of another issuer do not lead the sign-in elsewhere", async (world, api) => {
  const { issuer, clientId } = world.provider;
  world.env.VM_OIDC_ISSUER = "https://other.example.com";
  world.env.VM_OIDC_CLIENT_ID = "other";
  await world.says(
    `login ${api.address} --issuer ${issuer} --client-id ${clientId}`,
    0,
    "Signed in",
  );
});

addressTest("an API that says nothing of itself is told, by code", async (world, api) => {
  api.metadata = {};
  await world.says(`login ${api.address}`, 1, "error (api_metadata_invalid)", "--issuer");
  await world.says("config discover", 2, "the address is not");
  assertEquals(await settings(world), null);
});

const FIRST = "https://first.example.com";
const TYPED: [typed: string | null, code: number][] = [
  ["second", 0],
  ["y", 0],
  ["Y", 0],
  ["n", 2],
  ["", 2],
  [null, 2],
];

for (const [typed, code] of TYPED) {
  addressTest(
    `in a terminal the person chooses one of two issuers by ${JSON.stringify(typed)}`,
    async (world, api) => {
      const { issuer } = world.provider;
      const chosen: Record<string, string> = { second: issuer, y: FIRST, Y: FIRST };
      api.metadata.authorization_servers = [FIRST, issuer];
      const asked: unknown[] = [];
      const { prompt } = globalThis;
      // Enter alone gives the second argument.
      globalThis.prompt = (text, first) => {
        asked.push(text?.includes(FIRST));
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
  [WIDER, ["--scope", "openid profile email offline_access things.write"]],
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

cliTest(
  "login: with what an API demands a sign-in that serves is made anew, and checked",
  async (world) => {
    const { access_token } = await world.signIn();
    // The provider's device flow does not take it, and nobody is at the browser.
    const line = "login --flow device --parameter acr_values=gold";
    await world.says(line, 1, "error (device_flow_unsupported)");
    assertEquals(world.stored().access_token, access_token);
  },
);

cliTest(
  "api: in a terminal the person is asked, told why, and the call is repeated",
  async (world) => {
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
  },
);

cliTest(
  "login: with what an API demands, a sign-in that serves is made anew in the browser",
  async (world) => {
    const { access_token } = await world.signIn();
    using _ = new OwnEnv(world.env);
    using streams = new OwnStreams();
    let hasEnded = false;
    const running = runCli(["login", "--flow", "browser", "--parameter", "max_age=0"])
      .finally(() => hasEnded = true);
    const link = () => /\S+[?&]state=\S+/.exec(streams.written.stderr)?.[0];
    while (link() === undefined && !hasEnded) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assertEquals(new URL(link()!).searchParams.get("max_age"), "0");
    await world.provider.follow(link()!);
    assertEquals(await running, 0, streams.written.stderr);
    assert(world.stored().access_token !== access_token);
  },
);
