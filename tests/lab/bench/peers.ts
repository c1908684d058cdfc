import { mustRun, succeeds } from "../../support/deno_process.ts";

/** Exact versions: a figure names what it was compared with. */
const NODE_PACKAGES = ["@azure/msal-node@7.2.3", "google-auth-library@11.3.4"];
/** Beside the programs of this module, and copied to where their packages are. */
const NODE_PROGRAMS = [
  "msal_start.mjs",
  "google_start.mjs",
  "msal_refresh.mjs",
  "google_refresh.mjs",
  "write_synced.mjs",
];
const PYTHON_PACKAGES = ["msal==1.39.0"];
const INSTALL_MS = 600_000;

/** What is measured beside this module. They are installed for that, and are no dependencies of it. */
export interface Peers {
  /** Holds node_modules, and the programs that use it. */
  folder: string;
  /** `undefined` where Node is not at hand. */
  node: string | undefined;
  /** The Python that has msal; `undefined` where Python is not at hand. */
  python: string | undefined;
}

/** Installs the peers into a cache folder outside the repository, once. */
export async function installPeers(): Promise<Peers> {
  const folder = `${cacheFolder()}/validmind-auth/bench`;
  await Deno.mkdir(folder, { recursive: true });
  const hasNode = await succeeds(["node", "--version"]) && await succeeds(["npm", "--version"]);
  if (hasNode) await once(`${folder}/node`, NODE_PACKAGES, () => installNode(folder));
  const hasPython = await succeeds(["python3", "--version"]);
  if (hasPython) await once(`${folder}/python`, PYTHON_PACKAGES, () => installPython(folder));
  for (const name of NODE_PROGRAMS) {
    await Deno.copyFile(`${import.meta.dirname}/programs/${name}`, `${folder}/${name}`);
  }
  return {
    folder,
    node: hasNode ? "node" : undefined,
    python: hasPython ? `${folder}/venv/bin/python` : undefined,
  };
}

/** Files with which each peer has a valid token, as this module has. */
export async function writePeerCaches(
  folder: string,
  token: string,
): Promise<{ msal: string[]; google: string[] }> {
  const msal = msalCache(token);
  await Deno.writeTextFile(`${folder}/msal.json`, JSON.stringify(msal.cache));
  const google = { access_token: token, expiry_date: FAR_SECONDS * 1000, token_type: "Bearer" };
  await Deno.writeTextFile(`${folder}/google.json`, JSON.stringify(google));
  return {
    msal: [`${folder}/msal.json`, CLIENT_ID, msal.homeAccountId],
    google: [`${folder}/google.json`],
  };
}

const FAR_SECONDS = 4_102_444_800;
const CLIENT_ID = "11111111-1111-1111-1111-111111111111";
const TENANT = "33333333-3333-3333-3333-333333333333";
const HOST = "login.microsoftonline.com";

/** The schema that all msal libraries share. */
function msalCache(token: string) {
  const localId = "22222222-2222-2222-2222-222222222222";
  const homeAccountId = `${localId}.${TENANT}`;
  const of = { home_account_id: homeAccountId, environment: HOST };
  const own = { ...of, client_id: CLIENT_ID, realm: TENANT };
  const idToken = [
    { alg: "none" },
    { aud: CLIENT_ID, iss: `https://${HOST}/${TENANT}/v2.0`, oid: localId, tid: TENANT, sub: "s" },
  ].map((part) => base64Url(JSON.stringify(part))).join(".") + ".";
  const account = {
    ...of,
    realm: TENANT,
    local_account_id: localId,
    username: "ada@example.com",
    authority_type: "MSSTS",
  };
  const accessToken = {
    ...own,
    credential_type: "AccessToken",
    secret: token,
    target: "api://x/read",
    cached_at: "1764000000",
    expires_on: String(FAR_SECONDS),
    extended_expires_on: String(FAR_SECONDS),
    token_type: "Bearer",
  };
  const prefix = `${homeAccountId}-${HOST}`;
  const cache = {
    Account: { [`${prefix}-${TENANT}`]: account },
    IdToken: {
      [`${prefix}-idtoken-${CLIENT_ID}-${TENANT}---`]: {
        ...own,
        credential_type: "IdToken",
        secret: idToken,
      },
    },
    AccessToken: {
      [`${prefix}-accesstoken-${CLIENT_ID}-${TENANT}-api://x/read--`]: accessToken,
    },
    RefreshToken: {},
    AppMetadata: {},
  };
  return { homeAccountId, cache };
}

function base64Url(text: string): string {
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Runs `install` unless the same list was installed before. */
async function once(
  stamp: string,
  packages: readonly string[],
  install: () => Promise<void>,
): Promise<void> {
  const wanted = packages.join("\n");
  const had = await Deno.readTextFile(`${stamp}.txt`).catch(() => "");
  if (had === wanted) return;
  await install();
  await Deno.writeTextFile(`${stamp}.txt`, wanted);
}

async function installNode(folder: string): Promise<void> {
  await Deno.writeTextFile(`${folder}/package.json`, `{ "private": true, "type": "module" }`);
  await run("npm", ["install", "--silent", "--no-fund", "--no-audit", ...NODE_PACKAGES], folder);
}

async function installPython(folder: string): Promise<void> {
  await run("python3", ["-m", "venv", "venv"], folder);
  await run("venv/bin/pip", ["install", "--quiet", ...PYTHON_PACKAGES], folder);
}

async function run(program: string, args: string[], cwd: string): Promise<void> {
  const command = program.includes("/") ? `${cwd}/${program}` : program;
  await mustRun([command, ...args], { cwd, inheritEnv: true, timeoutMs: INSTALL_MS });
}

function cacheFolder(): string {
  return Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
}
