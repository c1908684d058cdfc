import { join } from "@std/path";
import { startHttpServer } from "../support/http_server.ts";
import { json } from "../support/scripted_provider.ts";
import { withoutOverride } from "../support/run_denied.ts";
import type { MessageRow } from "./message_row.ts";
import { inHome, type Person, type Setting } from "./person.ts";

type Before = Omit<Setting, "run">;

/** A command in a shell. */
function cli(what: string, args: string[], before: Before = {}): MessageRow {
  const run = ({ cli }: Person) => cli(args);
  return { what, where: "CLI", hear: (then) => inHome({ ...before, run, then }) };
}

/** A sign-in with a settings file. */
function settingsFile(what: string, document: unknown): MessageRow {
  const text = typeof document === "string" ? document : JSON.stringify(document);
  return cli(what, ["login"], { files: { ".config/validmind-auth/config.json": text } });
}

/** A script, or the cells of a notebook one after the other. */
function script(
  what: string,
  code: string,
  { where = "script", ...before }: Before & { where?: "script" | "notebook" } = {},
): MessageRow {
  const run = ({ script }: Person) => script(code);
  return { what, where, hear: (then) => inHome({ ...before, run, then }) };
}

const NOBODY = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
const ENDED = { expires_at: "2020-01-01T00:00:00.000Z" };
const INIT = "await vm.init();";
const KEY = { ...NOBODY, VM_API_KEY: "test-api-key", VM_API_SECRET: "test-api-secret" };
const BACKEND = "VM_OIDC_CREDENTIALS_BACKEND";
const KWARGS = "VM_OIDC_CREDENTIALS_BACKEND_KWARGS";

const AT_A_SHELL: MessageRow[] = [
  cli("A command with a typo: `logn`", ["logn"]),
  cli("A flag with a typo: `--isuer`", ["login", "--isuer", "https://login.example.com"]),
  cli("A flag of another command: `status --force`", ["status", "--force"]),
  cli("A flag without its value: `--issuer --force`", ["login", "--issuer", "--force"]),
  cli("A value that is not known: `--flow brwser`", ["login", "--flow", "brwser"]),
  cli("A secret as a flag: `--client-secret`", ["login", "--client-secret", "mine"]),
  cli("Neither issuer nor client id", ["login"], { env: NOBODY }),
  cli("An issuer without a client id", ["login"], { env: { VM_OIDC_CLIENT_ID: "" } }),
  cli("An issuer without https://", ["login", "--issuer", "login.example.com"]),
  cli("An http: issuer", ["login", "--issuer", "http://login.example.com"]),
  cli("An issuer with a path of the console", ["login"], { path: "/admin/console" }),
  cli("A wrong client id", ["login", "--client-id", "my-clinet"]),
  cli("A backend with a typo: `--backend fiel`", ["status", "--backend", "fiel"]),
  cli("A kernel's secret in an argument", [
    "jupyter",
    "install",
    "--env",
    "VM_OIDC_CLIENT_SECRET=mine",
  ]),
  cli("A kernel's policy without `--narrow`", ["jupyter", "install", "--policy", "policy.json"]),
  cli("`--backend-options` without `--backend`", ["status", "--backend-options", "store.json"]),
  cli("The file of `--backend-options` is missing", [
    "status",
    "--backend",
    "file",
    "--backend-options",
    "store.json",
  ]),
  cli("A wrong option of a backend: `pfad`", [
    "status",
    "--backend",
    "file",
    "--backend-options",
    "store.json",
  ], { files: { "store.json": '{"pfad": "tokens.json"}' } }),
  cli("Deno KV without `--unstable-kv`", ["status", "--backend", "kv"], { flags: ["-A"] }),
  settingsFile("A setting with a typo in the settings file: `client_id`", {
    default: { issuer: "https://login.example.com", client_id: "my-client" },
  }),
  settingsFile("A setting outside of `default` in the settings file", {
    issuer: "https://login.example.com",
  }),
  settingsFile("A secret in the settings file", {
    default: { issuer: "https://login.example.com", clientId: "app", clientSecret: "mine" },
  }),
  settingsFile("A settings file without a comma", '{"default": {"issuer": "x" "clientId": "y"}}'),
  cli("`--config` of a file that is not there", ["login", "--config", "settings.json"]),
  cli("`token` before a sign-in", ["token"]),
  cli("`token` with another profile", ["token", "--profile", "reviewer"], { signedIn: {} }),
  cli("`token` after the sign-in has ended", ["token"], {
    signedIn: { ...ENDED, refresh_token: null },
  }),
  cli("A sign-in that asked for no offline_access, when it has ended", ["token"], {
    env: { VM_OIDC_SCOPE: "openid profile" },
    signedIn: { ...ENDED, refresh_token: null, scope: "openid profile" },
  }),
  cli("`token` with an API key set", ["token"], { env: KEY }),
  cli("`logout` that names no sign-in", ["logout"], { env: NOBODY }),
  cli("`migrate --delete-source` into the same store", [
    "migrate",
    "--from",
    "file",
    "--to",
    "file",
    "--delete-source",
  ], {
    signedIn: {},
  }),
  cli("The installed program lacks a permission", ["login"], { flags: ["--allow-env"] }),
  cli("`login` into memory", ["login", "--backend", "memory"]),
];

const IN_CODE: MessageRow[] = [
  script("A script without permission flags", INIT, { flags: [] }),
  script("A script without `--allow-net`", INIT, {
    flags: ["--allow-env", "--allow-read", "--allow-write"],
  }),
  script("Neither a sign-in nor an API key", INIT, { env: NOBODY, where: "notebook" }),
  script("An option with a typo: `clientID`", 'await vm.init({ clientID: "my-client" });'),
  script("An option of another call: `model`", 'await vm.createSession({ model: "cl123" });'),
  script("No model", INIT, { env: { VM_API_MODEL: "" }, where: "notebook" }),
  script("An empty API key", 'await vm.init({ apiKey: "", apiSecret: "secret-of-mine" });', {
    env: NOBODY,
  }),
  script("An API key without its secret", INIT, { env: { ...NOBODY, VM_API_KEY: "k" } }),
  script("An API key beside a sign-in", INIT, {
    env: { VM_API_KEY: "k", VM_API_SECRET: "s" },
    where: "notebook",
  }),
  script("A wrong API key", INIT, {
    env: { ...KEY, VM_API_KEY: "another-key" },
    where: "notebook",
  }),
  script("An API host without https://", INIT, { env: { VM_API_HOST: "api.example.com/v1" } }),
  script("An API host with a wrong path", INIT, { apiPath: "/api/v2/tracking/" }),
  script("A job before anybody has signed in", INIT, { env: { VM_OIDC_INTERACTIVE: "0" } }),
  script("A word that is no yes or no", INIT, { env: { VM_OIDC_INTERACTIVE: "never" } }),
  script(
    "A scope without `openid`, the ID token as bearer",
    'await vm.init({ bearer: "id_token" });',
    {
      env: { VM_OIDC_SCOPE: "offline_access" },
    },
  ),
  script("`getSession()` before `init()`", "vm.getSession();", { where: "notebook" }),
  script(
    "A session that was closed",
    'const s = await vm.init(); await s.close(); await s.get("x");',
    {
      where: "notebook",
    },
  ),
  script(
    "A request to another API",
    `const session = await vm.init();
await session.get("https://other.example.com/things");`,
    { where: "notebook" },
  ),
  script(
    "Another address pasted",
    `const signIn = await vm.startSignIn();
await signIn.finish("https://login.example.com/done");`,
    { where: "notebook" },
  ),
  script(
    "A redirect URI on another machine",
    `await vm.init({ flow: "browser",
  redirectUri: "https://hub.example.com/callback" });`,
    { where: "notebook" },
  ),
  {
    what: "Two copies of this module",
    where: "notebook",
    hear: () => inHome({ run: ({ twoCopies }) => twoCopies() }),
  },
];

const OF_STORES: MessageRow[] = [
  script("A backend with a typo in its variable", INIT, { env: { [BACKEND]: "vualt" } }),
  script("The Python library's backend, in the variable that it shares", INIT, {
    env: { [BACKEND]: "acme.credentials:VaultBackend" },
  }),
  script("A module that is not there", INIT, { env: { [BACKEND]: "./my_store.ts:MyStore" } }),
  script("A module without that export", INIT, {
    env: { [BACKEND]: "./my_store.ts:MyStore" },
    files: { "my_store.ts": "export class MyStor {}" },
  }),
  script("Options without a backend", INIT, { env: { [KWARGS]: '{"path": "tokens.json"}' } }),
  script("Options that are no JSON", INIT, {
    env: { [BACKEND]: "file", [KWARGS]: "{'path': 'tokens.json'}" },
  }),
  script("A variable in the options that is not set", INIT, {
    env: { [BACKEND]: "file", [KWARGS]: '{"path": "${JUPYTERHUB_USER}/tokens.json"}' },
  }),
  script("A path that is a folder", INIT, {
    env: { [BACKEND]: "file", [KWARGS]: '{"path": "."}' },
  }),
  script("A folder that may not be written", INIT, {
    prepare: async ({ home }) => {
      await Deno.mkdir(join(home, ".validmind"), { mode: 0o500 });
    },
    wrap: (command) => [...withoutOverride, ...command],
  }),
  script("No home folder", INIT, { env: { HOME: "" } }),
  script("A damaged credentials file", INIT, {
    files: { ".validmind/credentials.json": '{"version": 1, "credentials": {"htt' },
  }),
  script("A file of a newer version", INIT, {
    files: { ".validmind/credentials.json": '{"version": 7, "credentials": {}}' },
  }),
  script("Encryption without its key", INIT, {
    env: {
      [BACKEND]: "encrypted",
      [KWARGS]: '{"backend": "file", "key": {"passphrase": "${TOKENS_PASSPHRASE}"}}',
    },
  }),
  {
    what: "A wrong passphrase",
    where: "script",
    hear: () =>
      inHome({
        env: {
          [BACKEND]: "encrypted",
          [KWARGS]: '{"backend": "file", "key": {"passphrase": "${TOKENS_PASSPHRASE}"}}',
        },
        run: async ({ script }) => {
          await script(INIT, { TOKENS_PASSPHRASE: "one passphrase of mine" });
          return await script(INIT, { TOKENS_PASSPHRASE: "another passphrase of mine" });
        },
      }),
  },
  script("No keyring in this session", INIT, { env: { [BACKEND]: "keychain" } }),
  script("Vault without an address", INIT, {
    env: { [BACKEND]: "vault", [KWARGS]: '{"path": "users/ada"}' },
  }),
  {
    what: "A Vault token that has ended",
    where: "script",
    hear: async () => {
      const refuse = () =>
        json({ errors: ["2 errors occurred: permission denied, invalid token"] }, 403);
      await using vault = await startHttpServer(refuse);
      return await inHome({
        env: {
          [BACKEND]: "vault",
          [KWARGS]: '{"path": "users/ada"}',
          VAULT_ADDR: vault.origin,
          VAULT_TOKEN: "hvs.an-old-token-of-mine",
        },
        names: { [new URL(vault.origin).host]: "vault.example.com:8200" },
        run: ({ script }) => script(INIT),
      });
    },
  },
];

/** Mistakes of people, by the program that they use. */
export const MISTAKES: readonly MessageRow[] = [...AT_A_SHELL, ...IN_CODE, ...OF_STORES];
