// This module on the oldest Deno that it says it needs.
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { ProviderProcess } from "../../support/provider_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { serverBinary, SERVERS } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Each store signs in, refreshes, starts again and signs out. */
const PROGRAM = `
  import { clearOidcCredentials, createSession, FileCredentialsBackend, KvCredentialsBackend } from "@validmind/auth";
  import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
  const [issuer, clientId, folder] = Deno.args;
  const key = crypto.getRandomValues(new Uint8Array(32));
  const backends = {
    file: new FileCredentialsBackend({ path: folder + "/file.json" }),
    kv: new KvCredentialsBackend({ path: folder + "/kv.sqlite3" }),
    encrypted: new EncryptedCredentialsBackend({
      backend: new FileCredentialsBackend({ path: folder + "/encrypted.json" }),
      key,
    }),
  };
  for (const [name, credentialsBackend] of Object.entries(backends)) {
    const identity = { issuer, clientId, credentialsBackend };
    const options = { ...identity, onDeviceCode: () => {} };
    const session = await createSession(options);
    const first = await session.accessToken();
    const second = await session.accessToken({ forceRefresh: true });
    const again = await createSession({ ...options, interactive: false });
    const isSame = await again.accessToken() === second;
    const { revocation } = await clearOidcCredentials({ ...identity, revoke: true });
    console.log(Deno.version.deno, name, first !== second, isSame, revocation);
  }
`;

const live = await liveTests("old-deno");

live.test("the oldest Deno signs in, refreshes, starts again and signs out, in file, KV and encrypted", async () => {
  await using provider = await ProviderProcess.start();
  await using folder = await tempDir();
  // A folder of its own, since each version throws the other's caches away.
  await Deno.mkdir(`${folder.path}/deno`);
  const cache = Deno.env.get("DENO_DIR") || `${Deno.env.get("HOME")}/.cache/deno`;
  await Deno.symlink(`${cache}/npm`, `${folder.path}/deno/npm`);
  await Deno.writeTextFile(`${folder.path}/program.ts`, PROGRAM);
  const config = fromFileUrl(new URL("deno.json", ROOT));
  const flags = ["-A", "--quiet", "--no-check", "--unstable-kv", "--cached-only"];
  const { stdout, stderr } = await new Deno.Command(await serverBinary("old-deno"), {
    args: [
      "run",
      ...flags,
      `--config=${config}`,
      `${folder.path}/program.ts`,
      provider.issuer,
      provider.clientId,
      folder.path,
    ],
    clearEnv: true,
    env: { HOME: folder.path, DENO_DIR: `${folder.path}/deno`, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  const lines = ["file", "kv", "encrypted"].map((name) =>
    `${SERVERS["old-deno"].version} ${name} true true revoked\n`
  );
  assertEquals({ out, err }, { out: lines.join(""), err: "" });
});
