import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runDeno } from "../../support/deno_process.ts";
import { type ScriptedProvider, startScriptedProvider } from "../../support/scripted_provider.ts";

const NAMES: [name: string, path: string][] = [
  ["device_authorization_endpoint", "/device"],
  ["token_endpoint", "/token"],
  ["jwks_uri", "/jwks"],
];

/** A provider one of whose endpoints stands under another host name than its issuer. */
async function moved(name: string, path: string): Promise<ScriptedProvider> {
  const provider = await startScriptedProvider();
  provider.autoApprove = true;
  provider.discovery = { [name]: `http://localhost:${provider.port}${path}` };
  return provider;
}

async function signIn({ issuer, clientId }: ScriptedProvider, hosts: string[]): Promise<string> {
  const { stdout, stderr } = await runDeno({
    code: `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      try {
        const session = await createSession({ issuer: ${JSON.stringify(issuer)},
          clientId: ${JSON.stringify(clientId)}, interactive: true,
          onDeviceCode: () => console.log("asked"),
          credentialsBackend: new MemoryCredentialsBackend(), delay: () => Promise.resolve() });
        await session.accessToken({ forceRefresh: true });
        console.log("refreshed");
      } catch (error) { console.log(error.code, error.message); }
    `,
    flags: [`--allow-net=${hosts.join(",")}`],
  });
  assertEquals(stderr, "");
  return stdout.trim();
}

for (const [name, path] of NAMES) {
  Deno.test(`deviation: ${name} on another host, which is permitted: works`, async () => {
    await using provider = await moved(name, path);
    const hosts = [`127.0.0.1:${provider.port}`, `localhost:${provider.port}`];
    assertEquals(await signIn(provider, hosts), "asked\nrefreshed");
  });

  Deno.test(`deviation: ${name} on another host, which is not: names the flag, asks nobody`, async () => {
    await using provider = await moved(name, path);
    const said = await signIn(provider, [`127.0.0.1:${provider.port}`]);
    assertStringIncludes(said, "permission_required Cannot reach the provider");
    assertMatch(said, new RegExp(`--allow-net=\\S*localhost:${provider.port}\\b`));
    assertEquals(said.includes("asked"), false);
  });
}
