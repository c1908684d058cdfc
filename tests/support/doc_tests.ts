/**
 * Runs the examples in the documentation as they stand, against a provider and an API on loopback:
 * `deno run -A tests/support/doc_tests.ts`. Its own arguments go on to `deno test`.
 */
import { findDenoDir, spawnDenoTool } from "./deno_process.ts";
import { startOidcProvider } from "./oidc_provider.ts";
import { tempDir } from "./temp_home.ts";
import { startTrackingApi } from "./tracking_api.ts";

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = ["backends", "client"];
const EXAMPLE = /^[ *]*```ts$/m;

/** All pages and published files that have an example to run. */
function documentedFiles(): string[] {
  const sources = FOLDERS.flatMap((folder) =>
    [...Deno.readDirSync(new URL(`${folder}/`, ROOT))].map(({ name }) => `${folder}/${name}`)
  );
  return ["README.md", "mod.ts", ...sources.filter((path) => /\.(md|ts)$/.test(path)).sort()]
    .filter((path) => EXAMPLE.test(Deno.readTextFileSync(new URL(path, ROOT))));
}

/** The environment of a person for whom a platform team has set all variables, and not of CI. */
function settings(home: string, denoDir: string, variables: Record<string, string>) {
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => !/^(?:VM_|CI$)/.test(name));
  return {
    ...Object.fromEntries(own),
    ...variables,
    HOME: home,
    USERPROFILE: home,
    DENO_DIR: denoDir,
  };
}

/** The key of a job, as a PEM file, and its public part for the provider. */
async function writeJobKey(folder: string): Promise<{ path: string; publicKey: JsonWebKey }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const bytes = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const path = `${folder}/job-key.pem`;
  const pem = `-----BEGIN PRIVATE KEY-----\n${bytes.toBase64()}\n-----END PRIVATE KEY-----\n`;
  await Deno.writeTextFile(path, pem, { mode: 0o600 });
  return { path, publicKey: await crypto.subtle.exportKey("jwk", pair.publicKey) };
}

async function main(args: string[]): Promise<number> {
  await using home = await tempDir();
  const job = await writeJobKey(home.path);
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
        jwks: { keys: [job.publicKey] },
      }];
    },
  });
  await using api = await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) });
  provider.autoApprove = true;
  const flags = ["test", "--doc", "--quiet", "-A", "--unstable-kv", ...args];
  const { success, code } = await spawnDenoTool([...flags, ...documentedFiles()], {
    cwd: ROOT,
    env: settings(home.path, findDenoDir(), {
      VM_OIDC_ISSUER: provider.issuer,
      VM_OIDC_CLIENT_ID: provider.clientId,
      VM_API_HOST: api.apiHost,
      VM_API_MODEL: "cl123",
      JOB_KEY_FILE: job.path,
      TOKENS_KEY: crypto.getRandomValues(new Uint8Array(32)).toBase64(),
    }),
  }).status;
  return success ? 0 : code || 1;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
