/**
 * Runs the examples in the documentation as they stand, against a provider and an API on loopback:
 * `deno run -A tests/support/doc_tests.ts`. Its own arguments go on to `deno test`. `deno task check` has their
 * types.
 */
import { DENO, ROOMY, spawnProcess } from "./deno_process.ts";
import { makeKey } from "./jwt.ts";
import { startOidcProvider } from "./oidc_provider.ts";
import { tempDir } from "./temp_home.ts";
import { startTrackingApi } from "./tracking_api.ts";

const ROOT = new URL("../../", import.meta.url);
/** Folders, and not their files: Deno runs a source that is named as a test of its own, which has none. */
const PLACES = ["README.md", "mod.ts", "backends", "client"];

async function main(args: string[]): Promise<number> {
  await using home = await tempDir();
  const key = await makeKey("ES256");
  const keyFile = `${home.path}/job-key.pem`;
  await Deno.writeTextFile(keyFile, key.pem, { mode: 0o600 });
  await using provider = await startOidcProvider({
    interval: 0.05,
    configure: (config) => {
      Object.assign(config.features!, {
        dPoP: { enabled: true },
        clientCredentials: { enabled: true },
      });
      Object.assign(config, { clientAuthMethods: ["none", "private_key_jwt"] });
      config.clients = [...config.clients!, {
        client_id: "my-job",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "private_key_jwt",
        jwks: { keys: [key.publicJwk] },
      }];
    },
  });
  await using api = await startTrackingApi({
    accepts: (bearer) => provider.isActive(bearer),
    issuer: provider.issuer,
  });
  provider.autoApprove = true;
  // A person for whom a platform team has set all variables, and not CI.
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => !/^(?:VM_|CI$)/.test(name));
  const command = [
    DENO,
    "test",
    "--doc",
    "--quiet",
    "-A",
    "--no-check",
    "--unstable-kv",
    ROOMY,
    ...args,
  ];
  const { code } = await spawnProcess([...command, ...PLACES], {
    stdout: "inherit",
    stderr: "inherit",
    cwd: ROOT,
    env: {
      ...Object.fromEntries(own),
      HOME: home.path,
      TMPDIR: home.path, // for the folders that examples leave
      VM_OIDC_ISSUER: provider.issuer,
      VM_OIDC_CLIENT_ID: provider.clientId,
      VM_API_HOST: api.apiHost,
      VM_API_MODEL: "cl123",
      JOB_KEY_FILE: keyFile,
      TOKENS_KEY: crypto.getRandomValues(new Uint8Array(32)).toBase64(),
    },
  }).status;
  return code;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
