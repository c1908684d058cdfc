// The device flow is switched off, for everybody or for this client: the browser takes its place.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../mod.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { captureTerminal, hasTerminal } from "../../support/terminal.ts";

const MAIN = new URL("../../../client/cli/main.ts", import.meta.url).href;

Deno.test("browser instead: auto signs in where the provider offers no device flow", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.features!.deviceFlow = { enabled: false };
      config.clients![0]!.grant_types = ["authorization_code", "refresh_token"];
    },
  });
  const events: { type: string }[] = [];
  const { prompt, session } = await startBrowserFlow(world, {
    flow: "auto",
    onEvent: (event) => void events.push(event),
  });
  assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
  await (await session).close();
  const types = ["sign_in_started", "flow_changed", "link_shown", "sign_in_approved", "stored"];
  assertEquals(events.map(({ type }) => type), types);
  assertNoSecret(events);
});

for (const error of ["unauthorized_client", "unsupported_grant_type", "401 without a word"]) {
  Deno.test(`browser instead: auto shows the link where ${error} refuses this client`, async () => {
    await using world = await scriptedProviderWorld();
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const isSilent = error.startsWith("401");
    provider.script.device.push(() =>
      isSilent ? new Response(null, { status: 401 }) : oauthError(error)
    );
    const stop = new AbortController();
    const { prompt, session } = await startBrowserFlow(world, {
      flow: "auto",
      signal: stop.signal,
    });
    assertStringIncludes(prompt.url, "/authorize?");
    stop.abort(new Error("enough"));
    assertEquals((await session.catch((error) => error)).message, "enough");
  });
}

Deno.test("browser instead: words never change the flow, and name it", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.clients![0]!.grant_types = ["authorization_code", "refresh_token"];
    },
  });
  const run = () => startBrowserFlow(world, { flow: "auto" });
  const error = await rejectsWith("provider_refused", run, 'flow: "browser"');
  assertEquals(error.oauthError, "invalid_request");
});

for (const error of ["access_denied", "expired_token"]) {
  Deno.test(`browser instead: a device sign-in that ends with ${error} says how`, async () => {
    await using world = await scriptedProviderWorld();
    world.provider.autoApprove = false;
    world.clock.onDelay = () => {
      if (error === "access_denied") world.provider.deny();
      else world.provider.expireDeviceCodes();
    };
    const code = error === "access_denied" ? "device_code_denied" : "device_code_expired";
    await rejectsWith(code, () => createSession(world.options), 'flow: "browser"');
  });
}

Deno.test("browser instead: it begins anew, with nothing of the device flow", async () => {
  await using world = await oidcProviderWorld();
  world.clock.onDelay = async () =>
    await world.provider.approve(world.codes[0]!.userCode, { deny: true });
  await rejectsWith("device_code_denied", () => createSession(world.options));
  world.provider.reset();
  const { prompt, session } = await startBrowserFlow(world);
  await world.provider.follow(prompt.url);
  await (await session).close();
  const asked = world.provider.requests.filter(({ path }) => path === "/token");
  assertEquals(asked.map(({ grantType }) => grantType), ["authorization_code"]);
});

Deno.test("browser instead: a caller that shows codes only keeps the first error", async () => {
  await using world = await scriptedProviderWorld({
    discovery: { device_authorization_endpoint: undefined },
  });
  const { flow: _, ...options } = browserOptions(world);
  const run = () => createSession({ ...options, onDeviceCode: () => {} });
  await rejectsWith("device_flow_unsupported", run, "onAuthorizationUrl");
});

Deno.test({
  name:
    "browser instead: login --flow browser takes a pasted address and flags for the page, Ctrl-C ends it with 130, and SIGTERM with 143",
  ignore: !hasTerminal,
  fn: async () => {
    await using provider = await startOidcProvider();
    const login = async (
      type: (link: string, pid: number) => Promise<string>,
      ...more: string[]
    ) => {
      let isTyped = false;
      return await captureTerminal({
        code: `import { main } from "${MAIN}";
          console.log("pid: " + Deno.pid);
          Deno.exit(await main(Deno.args));`,
        args: [
          ...["login", "--flow", "browser", "--no-open", ...more],
          ...["--issuer", provider.issuer, "--client-id", provider.clientId],
        ],
        flags: ["-A"],
        env: { NO_COLOR: "1" },
        async onText(text) {
          const [link] = /http:\S+\/auth\?\S+(?=\s)/.exec(text) ?? [];
          if (isTyped || link === undefined || !text.includes("Waiting for")) return undefined;
          isTyped = true;
          return await type(link, Number(/pid: (\d+)/.exec(text)![1]));
        },
      });
    };
    const done = await login(
      async (link) => {
        const { searchParams } = new URL(link);
        assertEquals(searchParams.get("prompt"), "consent");
        const stopAt = searchParams.get("redirect_uri")!;
        return `${(await provider.follow(link, { stopAt })).url}\r`;
      },
      "--parameter",
      "prompt=consent",
    );
    assertEquals(done.code, 0, done.text);
    assertStringIncludes(done.text, "analyst@example.com");
    const ended = await login(
      (link) => {
        const { searchParams } = new URL(link);
        const sent = ["login_hint", "acr_values", "prompt"].map((name) => searchParams.get(name));
        assertEquals(sent, ["ada@example.com", "urn:level=2", "login"]);
        return Promise.resolve("^C");
      },
      ...["--login-hint", "ada@example.com"],
      ...["--parameter", "acr_values=urn:level=2", "--parameter", "prompt=login"],
    );
    assertEquals(ended.code, 130, ended.text);
    const stopped = await login((_link, pid) => {
      Deno.kill(pid, "SIGTERM");
      return Promise.resolve("");
    });
    assertEquals(stopped.code, 143, stopped.text);
    assertStringIncludes(stopped.text, "Not signed in: the sign-in was interrupted.");
  },
});
