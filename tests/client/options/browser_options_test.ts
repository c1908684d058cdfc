import { assertEquals } from "@std/assert";
import {
  type BrowserOptions,
  checkBrowserOptions,
  listenNeeds,
  resolveRedirect,
} from "../../../client/options/browser_options.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const ISSUER = "https://login.example.com";
const ENTRA = "https://login.microsoftonline.com/common/v2.0";
const HUB = "https://hub.example.com/hub/";
const FREE = 40_000;

/** What comes of options and variables: URI, path and permissions. */
async function resolve(
  options: BrowserOptions,
  env: Record<string, string> = {},
  issuer = ISSUER,
): Promise<[uri: string, path: string, hosts: string[]]> {
  const setting = await withEnv(env, () => resolveRedirect(options, issuer, "sign in"));
  const port = setting.ports[0] || FREE;
  const hosts = listenNeeds(setting).map((need) => need.name === "net" ? need.host! : "");
  return [setting.uriOf(port), setting.pathOf(port), hosts];
}

const GOOD: [
  what: string,
  options: BrowserOptions,
  env: Record<string, string>,
  issuer: string,
  expected: Awaited<ReturnType<typeof resolve>>,
][] = [
  ["nothing", {}, {}, ISSUER, ["http://127.0.0.1:40000/callback", "/callback", ["127.0.0.1:0"]]],
  ["nothing, at Entra", {}, {}, ENTRA, ["http://localhost:40000", "/", ["127.0.0.1:0"]]],
  [
    "a port",
    { redirectUri: "http://127.0.0.1:8000/cb" },
    {},
    ISSUER,
    ["http://127.0.0.1:8000/cb", "/cb", ["127.0.0.1:8000"]],
  ],
  [
    "port 80, which URLs leave out",
    { redirectUri: "http://127.0.0.1:80/cb" },
    {},
    ISSUER,
    ["http://127.0.0.1:80/cb", "/cb", ["127.0.0.1:80"]],
  ],
  [
    "IPv6",
    { redirectUri: "http://[::1]/cb" },
    {},
    ISSUER,
    ["http://[::1]:40000/cb", "/cb", ["[::1]:0"]],
  ],
  [
    "a variable",
    {},
    { VM_OIDC_REDIRECT_URI: "http://127.0.0.1:9000/x" },
    ISSUER,
    ["http://127.0.0.1:9000/x", "/x", ["127.0.0.1:9000"]],
  ],
  [
    "an option beside a variable",
    { redirectUri: "http://127.0.0.1/y" },
    { VM_OIDC_REDIRECT_URI: "http://127.0.0.1:9000/x" },
    ISSUER,
    ["http://127.0.0.1:40000/y", "/y", ["127.0.0.1:0"]],
  ],
  [
    "several registered ports",
    { redirectUri: "http://127.0.0.1/callback", listen: "127.0.0.1:8000,18000" },
    {},
    ISSUER,
    ["http://127.0.0.1:8000/callback", "/callback", ["127.0.0.1:8000", "127.0.0.1:18000"]],
  ],
  [
    "a proxy",
    { redirectUri: "https://proxy.example.com/vm/callback", listen: "127.0.0.1:8765" },
    {},
    ISSUER,
    ["https://proxy.example.com/vm/callback", "/vm/callback", ["127.0.0.1:8765"]],
  ],
  [
    "a hub",
    {},
    { VM_OIDC_LISTEN: "127.0.0.1:8765,8766", JUPYTERHUB_PUBLIC_HUB_URL: HUB },
    ISSUER,
    [
      `${HUB}user-redirect/proxy/8765/callback`,
      "/callback",
      ["127.0.0.1:8765", "127.0.0.1:8766"],
    ],
  ],
  [
    "a hub without a place to listen at",
    {},
    { JUPYTERHUB_PUBLIC_HUB_URL: HUB },
    ISSUER,
    ["http://127.0.0.1:40000/callback", "/callback", ["127.0.0.1:0"]],
  ],
  [
    "a hub that does not say its address",
    {},
    { VM_OIDC_LISTEN: "127.0.0.1:8765", JUPYTERHUB_PUBLIC_HUB_URL: "" },
    ISSUER,
    ["http://127.0.0.1:8765/callback", "/callback", ["127.0.0.1:8765"]],
  ],
  [
    "the absolute form of jupyter-server-proxy, which keeps the path",
    { redirectUri: "https://h.example.com/proxy/absolute/{port}/cb", listen: "127.0.0.1:8765" },
    {},
    ISSUER,
    ["https://h.example.com/proxy/absolute/8765/cb", "/proxy/absolute/8765/cb", ["127.0.0.1:8765"]],
  ],
];

for (const [what, options, env, issuer, expected] of GOOD) {
  Deno.test(`browser options: ${what}`, async () => {
    assertEquals(await resolve(options, env, issuer), expected);
  });
}

const BAD: [what: string, options: BrowserOptions, part: string][] = [
  ["https without a place to listen at", { redirectUri: "https://h.example.com/cb" }, "listen"],
  ["another host", { redirectUri: "http://192.0.2.1/cb" }, "listen"],
  ["a name below localhost", { redirectUri: "http://a.localhost/cb" }, "listen"],
  [
    "clear text on another host",
    { redirectUri: "http://h.example.com/cb", listen: "127.0.0.1:8765" },
    "an https: one",
  ],
  ["a query", { redirectUri: "http://127.0.0.1/cb?x=1" }, "redirectUri"],
  ["a fragment", { redirectUri: "http://127.0.0.1/cb#x" }, "redirectUri"],
  ["a password", { redirectUri: "http://ada:pw-in-uri@127.0.0.1/cb" }, "redirectUri"],
  ["another scheme", { redirectUri: "com.example:/cb" }, "redirectUri"],
  ["no address", { redirectUri: "callback" }, "redirectUri"],
  ["all interfaces", { listen: "0.0.0.0:8765" }, "listen"],
  ["a host of the network", { listen: "192.0.2.1:8765" }, "listen"],
  ["no port", { listen: "127.0.0.1" }, "listen"],
  ["port 0", { listen: "127.0.0.1:0" }, "listen"],
  ["a port above all", { listen: "127.0.0.1:65536" }, "listen"],
  ["a mark for the port alone", { redirectUri: "http://127.0.0.1:{port}/cb" }, "listen"],
];

for (const [what, options, part] of BAD) {
  Deno.test(`browser options: ${what} is refused before any work`, async () => {
    const error = await rejectsWith(
      "invalid_options",
      () => withEnv({}, () => checkBrowserOptions(options, "sign in")),
      part,
    );
    assertEquals(error.message.includes("pw-in-uri"), false);
  });
}

Deno.test("browser options: an error names the variable that is wrong", async () => {
  const env = { VM_OIDC_REDIRECT_URI: "https://h.example.com/cb" };
  await rejectsWith("invalid_options", () => resolve({}, env), "VM_OIDC_REDIRECT_URI");
  await rejectsWith(
    "invalid_options",
    () => resolve({}, { VM_OIDC_LISTEN: "x" }),
    "VM_OIDC_LISTEN",
  );
});
