import { assertEquals } from "@std/assert";
import {
  type BrowserOptions,
  checkBrowserOptions,
  listenNeeds,
  resolveRedirect,
} from "../../../client/options/browser_options.ts";
import { findOrigin } from "../../../client/options/places.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const ISSUER = "https://login.example.com";
const HUB = "https://hub.example.com/hub/";

interface Given extends BrowserOptions {
  issuer?: string;
  env?: Record<string, string>;
}

/** What comes of options and variables: URI, path and hosts to listen at. */
async function resolve({ issuer = ISSUER, env = {}, ...options }: Given): Promise<string> {
  const setting = await withEnv(env, async () => {
    const { origin } = await findOrigin(options, "sign in");
    const inForce = origin.complete(options, "sign in", () => true);
    return resolveRedirect(inForce, issuer, "sign in");
  });
  const port = setting.ports[0] || 40_000;
  const hosts = listenNeeds(setting).map((need) => need.name === "net" ? need.host! : "");
  return [setting.uriOf(port), setting.pathOf(port), ...hosts].join(" ");
}

const LISTEN = "127.0.0.1:8765";
const HUB_ENV = { VM_OIDC_LISTEN: LISTEN, JUPYTERHUB_PUBLIC_HUB_URL: HUB };
const URI_ENV = { VM_OIDC_REDIRECT_URI: "http://127.0.0.1:9000/x" };
const PROXY = "https://h.example.com/proxy/absolute";
const ENTRA = "https://login.microsoftonline.com/common/v2.0";
const AT = `/callback ${LISTEN}`;
const [LOOPBACK, USUAL] = ["http://127.0.0.1", "http://127.0.0.1:40000/callback /callback"];

const GOOD: [given: Given, expected: string][] = [
  [{}, `${USUAL} 127.0.0.1:0`],
  // Entra accepts any port at localhost alone.
  [{ issuer: ENTRA }, "http://localhost:40000 / 127.0.0.1:0 [::1]"],
  [{ redirectUri: `${LOOPBACK}:80/cb` }, `${LOOPBACK}:80/cb /cb 127.0.0.1:80`],
  [{ redirectUri: "http://[::1]/cb" }, "http://[::1]:40000/cb /cb [::1]:0"],
  [{ env: URI_ENV }, `${LOOPBACK}:9000/x /x 127.0.0.1:9000`],
  [{ redirectUri: `${LOOPBACK}/y`, env: URI_ENV }, `${LOOPBACK}:40000/y /y 127.0.0.1:0`],
  [
    { redirectUri: `${LOOPBACK}/cb`, listen: "127.0.0.1:8000,18000" },
    `${LOOPBACK}:8000/cb /cb 127.0.0.1:8000 127.0.0.1:18000`,
  ],
  [
    { redirectUri: "https://a.example/vm/cb", listen: LISTEN },
    `https://a.example/vm/cb /vm/cb ${LISTEN}`,
  ],
  [
    { env: { ...HUB_ENV, VM_OIDC_LISTEN: "127.0.0.1:8765,8766" } },
    `${HUB}user-redirect/proxy/8765/callback ${AT} 127.0.0.1:8766`,
  ],
  [{ env: { JUPYTERHUB_PUBLIC_HUB_URL: HUB } }, `${USUAL} 127.0.0.1:0`],
  [{ env: { ...HUB_ENV, JUPYTERHUB_PUBLIC_HUB_URL: "" } }, `${LOOPBACK}:8765/callback ${AT}`],
  // The absolute form of jupyter-server-proxy keeps the path.
  [
    { redirectUri: `${PROXY}/{port}/cb`, listen: LISTEN },
    `${PROXY}/8765/cb /proxy/absolute/8765/cb ${LISTEN}`,
  ],
];

Deno.test("browser options: the redirect URI, its path, and the places to listen at", async () => {
  for (const [given, expected] of GOOD) assertEquals(await resolve(given), expected);
});

const BAD: Record<"redirectUri" | "listen", string[]> = {
  redirectUri: [
    ...["https://h.example.com/cb", "http://192.0.2.1/cb", "http://a.localhost/cb", "callback"],
    ...["http:/127.0.0.1/cb", "http:127.0.0.1/cb", "http:\\\\127.0.0.1\\cb", "com.example:/cb"],
    ...["?", "#", "?x=1", "#x", "\ncb", "/a/../cb", "/%2e%2e/cb", "ü"].map((end) => `/cb${end}`),
    ...[":{port}", "{port}", ":0", ":", ":080", ":65536"].map((port) => `${port}/cb`),
    "@evil.example.com/",
  ].map((text) => /^[/:{@]/.test(text) ? `http://127.0.0.1${text}` : text).concat(
    "http://ada:pw-in-uri@127.0.0.1/cb",
    "http://@127.0.0.1/cb",
  ),
  listen: [
    "0.0.0.0:8765",
    "192.0.2.1:8765",
    ...["", ":0", ":65536"].map((port) => `127.0.0.1${port}`),
  ],
};

Deno.test("browser options that cannot work are refused, by option or variable", async () => {
  const refused = (run: () => unknown, part: string) =>
    rejectsWith("invalid_options", () => withEnv({}, run), part);
  for (const [option, values] of Object.entries(BAD)) {
    for (const value of values) {
      const check = () => checkBrowserOptions({ [option]: value }, "sign in");
      const { message } = await refused(check, option);
      assertEquals(message.includes("pw-in-uri"), false);
    }
  }
  const clear = { redirectUri: "http://h.example.com/cb", listen: LISTEN };
  await refused(() => checkBrowserOptions(clear, "sign in"), "https: address needs");
  const env = { VM_OIDC_REDIRECT_URI: "https://h.example.com/cb" };
  await rejectsWith("invalid_options", () => resolve({ env }), "VM_OIDC_REDIRECT_URI");
  const listen = { VM_OIDC_LISTEN: "x" };
  await rejectsWith("invalid_options", () => resolve({ env: listen }), "VM_OIDC_LISTEN");
});
