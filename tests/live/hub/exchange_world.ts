import { assertEquals } from "@std/assert";
import { rememberSecret } from "../../support/assert_no_secret.ts";
import { Browser } from "../../support/browser.ts";
import { startHttpServer } from "../../support/http_server.ts";
import { startKeycloak } from "../../support/servers/keycloak_server.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";
import { audienceOf, person } from "../behaviour/providers/keycloak_realm.ts";
import type { HubKernel } from "./hub_kernel.ts";
import { startHub } from "./hub_process.ts";
import { makeHubPeople } from "./hub_world.ts";
import type { UnixUser } from "./unix_users.ts";

/** The name of the provider's realm. */
export const REALM = "bank";
/** The lifetime of the hub's token. */
export const HUB_SECONDS = 12;
const NOTEBOOK_SECONDS = 4;
const SECRETS = { jupyterhub: crypto.randomUUID(), notebooks: crypto.randomUUID() };

/** The realm, as the page has an admin set it up. */
function realm(hub: string, users: readonly UnixUser[], hubSeconds: number) {
  const confidential = { publicClient: false, standardFlowEnabled: false };
  return {
    realm: REALM,
    enabled: true,
    sslRequired: "none",
    accessTokenLifespan: hubSeconds,
    revokeRefreshToken: true,
    refreshTokenMaxReuse: 0,
    clients: [
      {
        clientId: "jupyterhub",
        secret: SECRETS.jupyterhub,
        publicClient: false,
        redirectUris: [`${hub}/hub/oauth_callback`],
        protocolMappers: [audienceOf("notebooks")],
      },
      {
        ...confidential,
        clientId: "notebooks",
        secret: SECRETS.notebooks,
        attributes: {
          "standard.token.exchange.enabled": "true",
          "access.token.lifespan": `${NOTEBOOK_SECONDS}`,
        },
        protocolMappers: [audienceOf("api")],
      },
      { ...confidential, clientId: "api", secret: SECRETS.notebooks },
    ],
    users: users.map(({ name, password }) => person(name, password)),
  };
}

/** The hub's requests, as its provider gets them. */
interface Asked {
  /** How many there were. */
  count: number;
  /** A fault: what is answered in the provider's place. Its own answer is that of `pass`. */
  answer?:
    | ((request: Request, pass: () => Promise<Response>) => Response | Promise<Response>)
    | undefined;
}

/** Options of {@linkcode startExchangeWorld}. */
export interface ExchangeOptions {
  /** The lifetime of the hub's token. */
  hubSeconds?: number;
  /** Whether the people's servers go on when the hub is killed. */
  serversStay?: boolean;
}

/** A hub by the recipe `exchange.py`, its people, their provider, and an API. */
export async function startExchangeWorld(
  { hubSeconds = HUB_SECONDS, serversStay = false }: ExchangeOptions = {},
) {
  await using stack = new AsyncDisposableStack();
  const { environment, ...people } = await makeHubPeople(stack);
  const { folder, users, port } = people;
  const keycloak = stack.use(await startKeycloak());
  await keycloak.admin("POST", "", realm(`http://127.0.0.1:${port}`, users, hubSeconds));
  const issuer = `http://127.0.0.1:${keycloak.port}/realms/${REALM}`;
  const endpoint = `${issuer}/protocol/openid-connect`;
  const asked: Asked = { count: 0 };
  const provider = stack.use(
    await startHttpServer(async (request) => {
      asked.count++;
      const { method, headers, url } = request;
      const body = method === "POST" ? await request.bytes() : null;
      const pass = () => fetch(`${endpoint}${new URL(url).pathname}`, { method, headers, body });
      return await (asked.answer === undefined ? pass() : asked.answer(request, pass));
    }),
  );
  const api = stack.use(
    await startTrackingApi({
      async accepts(token) {
        rememberSecret(token);
        const body = { token, client_id: "api", client_secret: SECRETS.notebooks };
        const asked = { method: "POST", body: new URLSearchParams(body) };
        return (await (await fetch(`${endpoint}/token/introspect`, asked)).json()).active;
      },
    }),
  );
  const tokens = `${folder.path}/tokens`;
  const proof = `${folder.path}/notebooks-client`;
  await Deno.writeTextFile(proof, SECRETS.notebooks, { mode: 0o444 });
  rememberSecret(SECRETS.notebooks);
  const hub = stack.use(
    await startHub({
      ...people,
      serversStay,
      recipe: "exchange.py",
      places: { TOKENS: tokens, SECONDS: 1 },
      config: {
        SharedSignIn: {
          authorize_url: `${endpoint}/auth`,
          token_url: `${provider.origin}/token`,
          userdata_url: `${provider.origin}/userinfo`,
        },
      },
      env: {
        OAUTH_CLIENT_SECRET: SECRETS.jupyterhub,
        JUPYTERHUB_CRYPT_KEY: crypto.randomUUID().replaceAll("-", "").repeat(2),
      },
      environment: {
        ...environment,
        VM_OIDC_ISSUER: issuer,
        VM_OIDC_CLIENT_SECRET_FILE: proof,
        VM_API_HOST: api.apiHost,
        VM_API_MODEL: "cl123",
      },
    }),
  );
  const started = stack.move();
  return {
    folder,
    users,
    hub,
    /** The folder of the people's tokens. */
    tokens,
    /** The file by which a notebook's client proves itself. */
    proof,
    issuer,
    asked,
    keycloak,
    /** Signs a person in at the hub, whose page leads to the provider and back. */
    async signInAtHub({ name, password }: UnixUser): Promise<Browser> {
      const browser = new Browser();
      const page = await browser.open(`${hub.origin}/hub/oauth_login?next=/hub/home`);
      const { url, status } = page.forms.length === 0
        ? page
        : await browser.submit(page, { username: name, password });
      assertEquals([new URL(url).pathname, status], ["/hub/home", 200]);
      return browser;
    },
    /** The token that the hub shows a person's notebooks. */
    async hubToken({ name }: UnixUser): Promise<string | undefined> {
      try {
        const token = await Deno.readTextFile(`${tokens}/${name}`);
        rememberSecret(token);
        return token;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** What the kernel's person is, after a sign-in that can show nothing to anybody. */
export async function initIn(kernel: HubKernel, options = "{}") {
  return await kernel.evaluate<{ token: string; email: string; flow: string; asked: number }>(`
    const vm = await import("jsr:@validmind/auth");
    let asked = 0;
    const count = () => { asked++; throw new Error("a person was asked"); };
    globalThis.session = await vm.init({
      onDeviceCode: count, onAuthorizationUrl: count, ...${options} });
    const { email, flow } = await session.status();
    return { token: await session.accessToken(), email, flow, asked };`);
}

/** The next token of a kernel's session, or the code and the words of its error. */
export async function renewedIn(kernel: HubKernel) {
  return await kernel.evaluate<{ token?: string; code?: string; message?: string }>(`
    return await session.accessToken().then(
      (token) => ({ token }), ({ code, message }) => ({ code, message }));`);
}
