import { assertEquals, assertStringIncludes } from "@std/assert";
import { type LocalCa, makeLocalCa } from "../../support/local_ca.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";
import { tempDir } from "../../support/temp_home.ts";

/** A name that no name server knows. */
const COMPANY = "login.company.example";

/**
 * Hands each connection on to another port of loopback.
 *
 * @param greet Runs before, with the connection.
 */
function startTunnel(
  listener: Deno.Listener<Deno.Conn<Deno.NetAddr>, Deno.NetAddr>,
  greet: (client: Deno.Conn) => Promise<void> = () => Promise.resolve(),
) {
  const open: { close(): void }[] = [listener];
  const tunnel = {
    port: listener.addr.port,
    target: 0,
    async [Symbol.asyncDispose]() {
      for (const one of open) Promise.try(() => one.close()).catch(() => {}); // or it is closed
      await served;
    },
  };
  const relay = async (client: Deno.Conn) => {
    open.push(client);
    await greet(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port: tunnel.target });
    open.push(server);
    const ways = [[client, server], [server, client]] as const;
    await Promise.all(ways.map(([from, to]) => from.readable.pipeTo(to.writable)));
  };
  const served = (async () => {
    const running: Promise<unknown>[] = [];
    // One side may leave, or refuse the other's certificate.
    for await (const client of listener) running.push(relay(client).catch(() => {}));
    await Promise.all(running);
  })();
  return tunnel;
}

/** A CONNECT proxy (RFC 9110, section 9.3.6): connects to `target`, whatever name it is asked for. */
function startConnectProxy(target: number) {
  const requests: string[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const tunnel = startTunnel(listener, async (client) => {
    requests.push(await readHead(client));
    await client.write(new TextEncoder().encode("HTTP/1.1 200 Connected\r\n\r\n"));
  });
  return Object.assign(tunnel, { target, requests });
}

/** The request line; the rest of the head is read and dropped. */
async function readHead(client: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const size = await client.read(buffer);
    if (size === null) throw new Error("The client left");
    head += new TextDecoder().decode(buffer.subarray(0, size));
  }
  return head.slice(0, head.indexOf("\r\n"));
}

let sharedCa: Promise<LocalCa> | undefined;

/**
 * A provider that speaks TLS with a certificate of the company's own authority, whose file is `ca`.
 *
 * @param host `localhost` can be reached; the company's name through the proxy alone.
 */
async function startNetwork(host: "localhost" | typeof COMPANY) {
  await using stack = new AsyncDisposableStack();
  const authority = await (sharedCa ??= makeLocalCa());
  const pem = await authority.issue([host]);
  const front = startTunnel(Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...pem }));
  const issuer = host === COMPANY ? `https://${COMPANY}` : `https://localhost:${front.port}`;
  const provider = stack.use(await startScriptedProvider({ issuer }));
  provider.autoApprove = true;
  front.target = provider.port;
  stack.use(front);
  const proxy = stack.use(startConnectProxy(front.port));
  const dir = stack.use(await tempDir());
  const ca = `${dir.path}/company-ca.pem`;
  await Deno.writeTextFile(ca, authority.cert);
  const started = stack.move();
  return { provider, proxy, ca, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Signs in in a process of its own, which may reach the issuer's host and nothing else. */
async function signIn(
  { provider }: Awaited<ReturnType<typeof startNetwork>>,
  env: Record<string, string>,
): Promise<string> {
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
