// The declarations of this module, as TypeScript reads them for Node and Bun.
import { assertEquals } from "@std/assert";
import { copy } from "@std/fs";
import { runProcess } from "../../support/deno_process.ts";
import { installNpmPackage } from "./npm_package.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { serverBinary, serverPath } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";

const live = await liveTests("node", "typescript");

/** Uses each entry point. An expected error that does not come is one: `any` would take all. */
const PROGRAM = `
import * as vm from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { runCli } from "@validmind/auth/cli";
import { testCredentialsBackend } from "@validmind/auth/testing";

const memory: vm.OidcCredentialsBackend = new vm.MemoryCredentialsBackend();
const vault = new VaultCredentialsBackend({ path: "users/anna" });
const backends = [vault, memory, new KeychainCredentialsBackend()];
const backend = new FallbackCredentialsBackend({ backends });
const credentialsBackend = new EncryptedCredentialsBackend({ backend, key: { env: "KEY" } });
const session = await vm.createSession({ issuer: "https://a.example", credentialsBackend });
const token: string = await session.accessToken();
const code: Promise<number> = runCli(["status", token]);
testCredentialsBackend("memory", () => memory, { permissions: "none" });

// @ts-expect-error -- an issuer is text
await vm.createSession({ issuer: 5 });
// @ts-expect-error -- a token is text
const wrong: number = await session.accessToken();
// @ts-expect-error -- a store has three methods
const store: vm.OidcCredentialsBackend = {};
// @ts-expect-error -- a key has a source
new EncryptedCredentialsBackend({ backend, key: 5 });
// @ts-expect-error -- a path is text
new VaultCredentialsBackend({ path: 5 });
// @ts-expect-error -- arguments are a list
await runCli("status");
`;

const folder = await live.shared(() => tempDir());
await live.shared(async () => {
  await installNpmPackage(folder.path, { declarations: true });
  const packages = await serverPath("typescript");
  for (const name of ["@types", "undici-types"]) {
    await copy(`${packages}/${name}`, `${folder.path}/node_modules/${name}`);
  }
  await Deno.writeTextFile(`${folder.path}/program.mts`, PROGRAM);
});
live.afterAll(async () => await folder[Symbol.asyncDispose]());

/** Checks the program. Gives the exit code, and what TypeScript complains of. */
async function check(...flags: string[]): Promise<{ code: number; complaints: string[] }> {
  const compiler = `${await serverBinary("typescript")}/typescript/bin/tsc`;
  const args = ["--noEmit", "--strict", "--module", "nodenext", ...flags, "program.mts"];
  const command = [await serverBinary("node"), compiler, ...args];
  const { code, stdout, stderr } = await runProcess(command, {
    cwd: folder.path,
    timeoutMs: 300_000,
  });
  return { code, complaints: (stdout + stderr).split("\n").filter((line) => line !== "") };
}

live.test("TypeScript checks a program for Node by the declarations, with skipLibCheck", async () => {
  const flags = ["--lib", "esnext", "--types", "node", "--skipLibCheck"];
  assertEquals(await check(...flags), { code: 0, complaints: [] });
});

live.test("with dom and @types/deno the declarations themselves are checked", async () => {
  const flags = ["--lib", "esnext,dom", "--types", "node,deno"];
  assertEquals(await check(...flags), { code: 0, complaints: [] });
});
