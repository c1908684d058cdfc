import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { createSession } from "../../../../client/create_session.ts";
import type { DeviceCode } from "../../../../client/session_options.ts";
import { openWindow, startChromium } from "../../../support/chromium.ts";
import { isTold } from "../faults.ts";
import { KeycloakRealm } from "../keycloak.ts";
import { type KeycloakClientKind, PASSWORD, USER } from "../keycloak_realm.ts";
import type { MatrixProvider, ProviderKind } from "../provider.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

const DAY = 24 * 3600_000;

/** Settings that only Keycloak has. */
export const KEYCLOAK_ROWS = {
  async "client without the flow in the browser"(kind, provider) {
    await using world = await worldOf(kind, provider, "device");
    const start = () => createSession(world.browserOptions);
    await isTold(world, "The client may not use the flow in the browser", start);
  },

  async "ID token signed by a secret"(kind, provider) {
    await using world = await worldOf(kind, provider, "symmetric");
    const start = () => createSession(world.options);
    await isTold(world, "The ID token is signed by a secret", start);
  },

  async "offline_access not allowed"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    assert(provider instanceof KeycloakRealm);
    const roles = `${provider.user}/role-mappings/realm`;
    await provider.admin("DELETE", roles, await provider.admin("GET", roles));
    const start = () => createSession(world.options);
    await isTold(world, "The person may not have offline_access", start);
    await using session = await createSession({ ...world.options, scope: "openid email" });
    assert(await provider.isActive(await session.accessToken()));
  },

  async "all tokens of a client ended"(kind, provider) {
    await using world = await worldOf(kind, provider, "ended");
    await (await createSession(world.options)).close();
    assert(provider instanceof KeycloakRealm);
    const path = "/clients?clientId=client-ended";
    const [{ id }] = await provider.admin("GET", path) as [{ id: string }];
    const notBefore = Math.ceil(Date.now() / 1000) + 1;
    await provider.admin("PUT", `/clients/${id}`, { notBefore });
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "An administrator has ended all tokens of the client", start);
  },

  async "client that has to push its requests"(kind, provider) {
    await using world = await worldOf(kind, provider, "pushed");
    const start = () => createSession(world.browserOptions);
    await isTold(world, "The client has to push its requests", start);
  },

  async "client that has to use PKCE"(kind, provider) {
    await using world = await worldOf(kind, provider, "pkce");
    for (const options of [world.options, { ...world.browserOptions, profile: "browser" }]) {
      await using session = await createSession(options);
      assert(await provider.isActive(await session.accessToken()));
    }
  },

  async "realm that requires HTTPS"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    assert(provider instanceof KeycloakRealm);
    await provider.admin("PUT", "", { sslRequired: "all" });
    const start = () => createSession(world.options);
    await isTold(world, "The realm requires HTTPS", start)
      .finally(() => provider.admin("PUT", "", { sslRequired: "none" }));
  },
} satisfies Record<string, Row>;

/** Keycloak's pages in a real browser, which runs their scripts and keeps their cookies. */
export const CHROMIUM_ROWS = {
  async "device flow in Chromium"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using browser = await startChromium();
    const page = await (await openWindow(browser)).newPage();
    const answered = new Set<DeviceCode>();
    world.clock.onDelay = async () => {
      const code = world.codes.at(-1)!;
      if (answered.has(code)) return;
      answered.add(code);
      await signIn(page, code.verificationUriComplete!);
      await page.getByText("Device Login Successful").waitFor();
    };
    await using session = await createSession(world.options);
    assert(await provider.isActive(await session.accessToken()));
  },

  async "browser in Chromium"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "browser");
    await using browser = await startChromium();
    const page = await (await openWindow(browser)).newPage();
    const errors: Error[] = [];
    page.on("pageerror", (error) => errors.push(error));
    let shown: Promise<void> | undefined;
    await using session = await createSession({
      ...world.browserOptions,
      onAuthorizationUrl({ url }) {
        const { searchParams } = new URL(url);
        assertEquals(searchParams.get("code_challenge_method"), "S256");
        shown = signIn(page, url);
      },
    });
    await shown;
    await page.getByText("Your answer has arrived").first().waitFor();
    assertEquals([new URL(page.url()).search, errors], ["", []]); // no code stays in the address
    assert(await provider.isActive(await session.accessToken()));
  },
} satisfies Record<string, Row>;

function worldOf(
  kind: ProviderKind,
  provider: MatrixProvider,
  client: KeycloakClientKind,
): Promise<MatrixWorld> {
  return MatrixWorld.make(kind, provider, { clientId: `client-${client}` });
}

/** Types and clicks, as a person does. */
async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.fill("#username", USER);
  await page.fill("#password", PASSWORD);
  await page.click("#kc-login");
  await page.click("[name=accept]");
}
