import { assertEquals, assertStringIncludes } from "@std/assert";
import { type LocalCa, makeLocalCa } from "../../support/local_ca.ts";
import { runDeno } from "../../support/deno_process.ts";
import { type ScriptedProvider, startScriptedProvider } from "../../support/scripted_provider.ts";
import { tempDir } from "../../support/temp_home.ts";
import { type ConnectProxy, startConnectProxy, startTlsFront, type Tunnel } from "./tunnels.ts";

/** A name that no name server knows. */
const COMPANY = "login.company.example";

interface Network extends AsyncDisposable {
  /** A provider that speaks TLS with a certificate of the company's own authority. */
  readonly provider: ScriptedProvider;
  readonly proxy: ConnectProxy;
  /** The file of that authority's certificate. */
  readonly ca: string;
}

let sharedCa: Promise<LocalCa> | undefined;

/** @param host `localhost` can be reached; the company's name through the proxy alone. */
async function startNetwork(host: "localhost" | typeof COMPANY): Promise<Network> {
  const authority = await (sharedCa ??= makeLocalCa());
  const front: Tunnel = startTlsFront(await authority.issue([host]));
  const issuer = host === COMPANY ? `https://${COMPANY}` : `https://localhost:${front.port}`;
  const provider = await startScriptedProvider({ issuer });
  provider.autoApprove = true;
  front.target = provider.port;
  const proxy = startConnectProxy(front.port);
  const dir = await tempDir();
  const ca = `${dir.path}/company-ca.pem`;
  await Deno.writeTextFile(ca, authority.cert);
  return {
    provider,
    proxy,
    ca,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await front[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Signs in in a process of its own, which may reach the issuer's host and nothing else. */
async function signIn({ provider }: Network, env: Record<string, string>): Promise<string> {
  const { host, port } = new URL(provider.issuer);
  const { stdout, stderr } = await runDeno({
    code: `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      try {
        const session = await createSession({ issuer: ${JSON.stringify(provider.issuer)},
          clientId: ${JSON.stringify(provider.clientId)}, interactive: true, onDeviceCode() {},
          credentialsBackend: new MemoryCredentialsBackend(), delay: () => Promise.resolve() });
        await session.accessToken({ forceRefresh: true });
        console.log("refreshed");
      } catch (error) { console.log(error.code, error.message); }
    `,
    flags: [`--allow-net=${port === "" ? `${host}:443` : host}`],
    env: { DENO_NO_UPDATE_CHECK: "1", ...env }, // Deno's own request would use the proxy, too
  });
  assertEquals(stderr, "");
  return stdout.trim();
}

Deno.test("network: a company's own authority is not trusted by itself: says what to set", async () => {
  await using network = await startNetwork("localhost");
  const said = await signIn(network, {});
  assertStringIncludes(said, "provider_unavailable Cannot reach https://localhost:");
  assertStringIncludes(said, "its certificate is not trusted");
  for (const name of ["DENO_CERT", "DENO_TLS_CA_STORE=system"]) assertStringIncludes(said, name);
  assertEquals(network.provider.requests, []);
});

Deno.test("network: DENO_CERT adds a company's authority", async () => {
  await using network = await startNetwork("localhost");
  assertEquals(await signIn(network, { DENO_CERT: network.ca }), "refreshed");
});

Deno.test("network: DENO_TLS_CA_STORE=system trusts what the system trusts", {
  ignore: Deno.build.os !== "linux", // elsewhere no variable moves the system's store
}, async () => {
  await using network = await startNetwork("localhost");
  const env = { DENO_TLS_CA_STORE: "system", SSL_CERT_FILE: network.ca };
  assertEquals(await signIn(network, env), "refreshed");
});

Deno.test("network: HTTPS_PROXY carries all requests, and needs no permission for the proxy", async () => {
  await using network = await startNetwork(COMPANY);
  const HTTPS_PROXY = `http://127.0.0.1:${network.proxy.port}`;
  assertEquals(await signIn(network, { DENO_CERT: network.ca, HTTPS_PROXY }), "refreshed");
  assertEquals(new Set(network.proxy.requests), new Set([`CONNECT ${COMPANY}:443 HTTP/1.1`]));
  assertEquals(network.provider.requests.length, 6);
});

Deno.test("network: a proxy that is down is told by its variable", async () => {
  await using network = await startNetwork(COMPANY);
  const { port } = network.proxy;
  await network.proxy[Symbol.asyncDispose]();
  const env = { DENO_CERT: network.ca, HTTPS_PROXY: `http://127.0.0.1:${port}` };
  const said = await signIn(network, env);
  assertStringIncludes(said, `provider_unavailable Cannot reach https://${COMPANY}/`);
  assertStringIncludes(said, "HTTPS_PROXY");
});
