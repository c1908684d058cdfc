import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { createSession } from "../../../client/create_session.ts";
import { pageFences } from "../../readme_reader.ts";
import { DENO, mustRun } from "../../support/deno_process.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { writeProgram } from "../../support/write_program.ts";

const CLI = fromFileUrl(new URL("../../../client/cli.ts", import.meta.url));
const live = await liveTests("vault");

live.test("Vault: the page's command removes the sign-ins of a person who leaves, and ends them", async () => {
  await using vault = await startVault();
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  const auth = { method: "token", token: vault.rootToken } as const;
  const open = (path: string) => new VaultCredentialsBackend({ address: vault.url, path, auth });
  const { issuer, clientId } = provider;
  const tokens: string[] = [];
  for (const path of ["users/anna", "users/berta"]) {
    const credentialsBackend = open(path);
    const session = await createSession({
      ...{ issuer, clientId, credentialsBackend, onDeviceCode: () => {} },
    });
    tokens.push(await session.accessToken());
    await credentialsBackend.close();
  }
  const fences = await pageFences("client/hubs.md");
  const { text } = fences.find(({ text }) => text.includes("logout --all --revoke"))!;
  await using folder = await tempDir();
  writeProgram(`${folder.path}/validmind-auth`, `#!/bin/sh\nexec '${DENO}' run -A '${CLI}' "$@"\n`);
  const commands = text.replace("https://vault.example.com:8200", vault.url);
  const PATH = `${folder.path}:${Deno.env.get("PATH")}`;
  await mustRun(["sh", "-ec", commands], {
    env: { VAULT_TOKEN: vault.rootToken, HOME: folder.path, PATH },
    inheritEnv: true,
  });
  const left = await Promise.all(["users/anna", "users/berta"].map(async (path) => {
    const backend = open(path);
    const keys = await Array.fromAsync(backend.list());
    await backend.close();
    return keys.length;
  }));
  assertEquals(left, [0, 1]);
  assertEquals(tokens.map((token) => provider.isActive(token)), [false, true]);
});
