// Over a real keyring.
import { assert, assertEquals } from "@std/assert";
import { backendUrl, type ProcessResult, runDeno } from "../../support/deno_process.ts";
import { startKeyringSession } from "../../support/servers/keyring_session.ts";
import { tempDir } from "../../support/temp_home.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("keyring");

/** Runs a script in a desktop session of its own, with the backends imported. */
async function inSession(
  session: { env: Record<string, string> },
  folder: string,
  code: string,
): Promise<ProcessResult> {
  const script = `
    import { EncryptedCredentialsBackend } from "${backendUrl("encrypted.ts")}";
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    import { KeychainCredentialsBackend } from "${backendUrl("keychain.ts")}";
    const keychain = (service) => new KeychainCredentialsBackend({ service, timeoutMs: 3_000 });
    const file = () => new FileCredentialsBackend({ path: "${folder}/credentials.json" });
    const entry = { issuer: "i", client_id: "c", access_token: "t".repeat(70_000) };
    ${code}
    Deno.exit(0);
  `;
  return await runDeno({ code: script, flags: ["-A"], env: session.env });
}

live.test("a key in a real keyring protects a file of any size, in a later process, too", async () => {
  await using session = await startKeyringSession();
  await using folder = await tempDir();
  const open = `const backend = new EncryptedCredentialsBackend({
    backend: file(),
    key: { backend: keychain("validmind-auth-keys") },
  });`;
  const wrote = await inSession(session, folder.path, `${open} await backend.put("k", entry);`);
  assertEquals(wrote.code, 0, wrote.stderr);
  const text = await Deno.readTextFile(`${folder.path}/credentials.json`);
  assert(text.length > 90_000 && !text.includes("tttt"));
  const read = await inSession(
    session,
    folder.path,
    `${open} console.log((await backend.get("k")).access_token.length);`,
  );
  assertEquals(read.stdout, "70000\n", read.stderr);

  await session.lock();
  const locked = await inSession(
    session,
    folder.path,
    `${open} console.log(await backend.get("k").then(() => "read", (error) => error.code));`,
  );
  assert(["keychain_locked", "backend_timeout"].includes(locked.stdout.trim()), locked.stderr);
});
