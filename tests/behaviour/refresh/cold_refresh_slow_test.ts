import { assert, assertEquals, assertNotMatch } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { denoProgram } from "../../lab/bench/bench.ts";
import { findDenoDir, runProcess } from "../../support/deno_process.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import { tempDir } from "../../support/temp_home.ts";

Deno.test("cold refresh: Deno compiles no code anew that it has compiled for an earlier one", async () => {
  await using provider = await ProviderProcess.start();
  await using home = await tempDir();
  const path = `${home.path}/.validmind/credentials.json`;
  await provider.signIn(new FileCredentialsBackend({ path }));
  const [key] = await Array.fromAsync(new FileCredentialsBackend({ path }).list());
  const expires_at = "2020-01-01T00:00:00Z";
  let said = "";
  for (let run = 0; run < 2; run++) {
    const backend = new FileCredentialsBackend({ path });
    await backend.put(key!, { ...backend.get(key!)!, expires_at });
    const command = denoProgram("cached_start.ts", provider.issuer, provider.clientId);
    const env = { HOME: home.path, DENO_DIR: findDenoDir(), DENO_LOG: "debug" };
    const { code, stderr } = await runProcess(command, { env });
    assertEquals(code, 0, stderr);
    assert(backend.get(key!)!.expires_at !== expires_at);
    said = stderr;
  }
  assertNotMatch(said, /Updating V8 code cache for ES module: (?!.*cached_start).*/);
});
