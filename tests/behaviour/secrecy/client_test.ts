import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import { init } from "../../../client/init.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { runDeno } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";
import { HOUR, oidcProviderWorld, test } from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";

const MOD = new URL("../../../mod.ts", import.meta.url).href;

/** What a text must not have a piece of: all of a token but the part that many share. */
function secretsOf(tokens: string[]): string[] {
  return tokens.map((token) => token.slice(token.lastIndexOf(".") + 1));
}

for (const kind of ["file", "kv"]) {
  Deno.test(`secrecy: session, backend, status, result and errors over ${kind}`, async () => {
    await using world = await oidcProviderWorld({ jwtAccessTokens: true });
    await using dir = await tempDir();
    const backend: OidcCredentialsBackend = kind === "file"
      ? new FileCredentialsBackend({ path: `${dir.path}/credentials.json` })
      : new KvCredentialsBackend();
    const session = await init({ ...world.options, credentialsBackend: backend, model: "m" });
    const first = tokensOf((await backend.get(world.key))!);
    await session.accessToken({ forceRefresh: true });
    const second = tokensOf((await backend.get(world.key))!);
    const secrets = secretsOf([...first, ...second]);
    assertEquals(secrets.length, 6);
    const values: unknown[] = [session, backend, await session.status(), session.info];
    values.push(await session.get("error").catch((error) => error));
    values.push(await session.fetch("https://example.com").catch((error) => error));
    world.provider.revokeGrants();
    world.clock.advance(HOUR);
    values.push(await session.accessToken().catch((error) => error));
    values.push(await session.clear({ revoke: true }));
    for (const value of values) assertNoSecret(value, secrets);
    await backend.close?.();
  });
}

Deno.test("secrecy: an API-key session shows neither key nor secret", async () => {
  const key = { apiKey: "key-of-the-team-1234", apiSecret: "secret-of-the-team-5678" };
  const session = await createSession({ ...key, apiHost: "http://localhost:1/" });
  const error = await session.get("thing").catch((error) => error);
  assert(error instanceof Error);
  for (const value of [session, await session.status(), error]) {
    assertNoSecret(value, [key.apiKey.slice(3), key.apiSecret.slice(6)]);
  }
});

test.real("secrecy: console.log of everything, and the built-in prompt", async (world) => {
  await using dir = await tempDir();
  world.provider.autoApprove = true;
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const { path, ...options } = JSON.parse(Deno.args[0]);
    const credentialsBackend = new vm.FileCredentialsBackend({ path });
    const delay = () => Promise.resolve();
    const session = await vm.init({ ...options, model: "m", credentialsBackend, delay });
    const error = await session.get("error").catch((error) => error);
    console.log(session, credentialsBackend, await session.status(), error);
    console.log(String(session), JSON.stringify([session, credentialsBackend, error]), \`\${error}\`);
    console.dir(session, { depth: 10, showHidden: true });
    console.table([session]);
  `;
  const { issuer, clientId, apiHost } = world.options;
  const path = `${dir.path}/credentials.json`;
  const result = await runDeno({
    code,
    args: [JSON.stringify({ issuer, clientId, apiHost, path })],
    flags: ["--allow-net=127.0.0.1", `--allow-read=${dir.path}`, `--allow-write=${dir.path}`],
  });
  assertEquals(result.code, 0, result.stderr);
  assert(result.stdout.includes("Session {"));
  const { credentials } = JSON.parse(await Deno.readTextFile(path));
  const secrets = secretsOf(tokensOf(credentials[world.key]));
  assertEquals(secrets.length, 3);
  assertNoSecret(result.stdout + result.stderr, secrets);
});
