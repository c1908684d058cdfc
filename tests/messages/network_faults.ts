import { FileCredentialsBackend } from "../../backends/file.ts";
import { createSession } from "../../client/create_session.ts";
import type { SessionOptions } from "../../client/session_options.ts";
import { OwnEnv } from "../support/own_env.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { hang, truncated } from "../support/scripted_provider.ts";
import { freePort } from "../support/servers/free_port.ts";
import { makeLocalCa } from "../support/local_ca.ts";
import { tempDir } from "../support/temp_home.ts";
import { startTlsFront } from "../support/tunnels.ts";
import { type Heard, heardFrom, type MessageRow, originNames } from "./message_row.ts";
import { answering, inWorld, real, scripted, signIn } from "./fault_rows.ts";

/** A start at an address that no provider of this module's tests has. */
async function alone(issuer: string, more: SessionOptions = {}): Promise<Heard> {
  using _ = new OwnEnv();
  const options = { issuer, clientId: "my-client", onDeviceCode: () => {}, ...more };
  await using home = await tempDir();
  const credentialsBackend = new FileCredentialsBackend({ path: `${home.path}/tokens.json` });
  return await heardFrom(
    () => createSession({ ...options, credentialsBackend }),
    originNames(issuer),
  );
}

export const OF_NETWORK: MessageRow[] = [
  {
    what: "Nothing listens at the issuer",
    where: "network",
    hear: () => alone(`http://127.0.0.1:${freePort()}`),
  },
  {
    what: "The host name is not known",
    where: "network, Deno's words",
    hear: () =>
      alone("https://login.exmaple.com", {
        fetch: () =>
          Promise.reject(
            new TypeError("error sending request", {
              cause: new Error("client error (Connect): dns error: failed to lookup address"),
            }),
          ),
      }),
  },
  {
    what: "The certificate is not trusted",
    where: "network",
    hear: async () => {
      await using front = startTlsFront(await (await makeLocalCa()).issue(["localhost"]));
      return await alone(`https://localhost:${front.port}`);
    },
  },
  scripted(
    "A login page of the network answers",
    answering("discovery", () =>
      new Response("<html>Welcome to the guest network</html>", {
        headers: { "content-type": "text/html" },
      })),
    { where: "network" },
  ),
  scripted("The provider does not answer", (world) => {
    world.provider.script.discovery.push(hang);
    return signIn(world, { timeoutMs: 200 });
  }, { where: "network" }),
  scripted(
    "The connection breaks off",
    answering("device", () => truncated('{"device_code"')),
    { where: "network" },
  ),
  scripted(
    "The provider is overloaded",
    answering(
      "device",
      () => new Response("busy", { status: 503, headers: { "retry-after": "30" } }),
    ),
  ),
  real(
    "The issuer has a wrong path",
    (world) => signIn(world, { issuer: `${world.provider.issuer}/realms/acme` }),
  ),
  scripted("Discovery names another issuer", (world) => signIn(world), {
    discovery: { issuer: "https://login.example.org" },
  }),
  scripted("Discovery has no token endpoint", (world) => signIn(world), {
    discovery: { token_endpoint: undefined },
  }),
];

export const OF_API: MessageRow[] = [
  scripted("The API refuses the token", async (world) => {
    const session = await signIn(world);
    world.api.reject(5);
    await session.get("ping");
  }, { where: "API" }),
  {
    what: "The API refuses the API key",
    where: "API",
    hear: () =>
      inWorld(scriptedProviderWorld(), async ({ api }) => {
        const key = { apiKey: "another-api-key", apiSecret: "another-api-secret" };
        const session = await createSession({ ...key, apiHost: api.apiHost });
        await session.get("ping");
      }),
  },
  scripted("The API does not know the path", async (world) => {
    const session = await signIn(world);
    await session.get("/v2/things");
  }, { where: "API" }),
  scripted("The API fails", async (world) => {
    const session = await signIn(world);
    world.api.script.push(() => new Response("Bad gateway", { status: 502 }));
    await session.get("ping");
  }, { where: "API" }),
  scripted("Nothing listens at the API", async (world) => {
    const session = await signIn(world, { apiHost: `http://127.0.0.1:${freePort()}/v1/` });
    await session.get("ping");
  }, { where: "API" }),
];
