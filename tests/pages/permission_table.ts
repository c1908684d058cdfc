import {
  FileCredentialsBackend,
  formatPermissionFlags,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
  type PermissionNeed,
  requiredPermissions,
} from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { type Generated, generated, table } from "./generated_part.ts";
import { OwnEnv } from "../support/own_env.ts";

/** Where the generated permissions begin and end in a page. */
const BEGIN = "<!-- permissions: made by `deno task readme`, checked by the tests -->";
const STORES = "<!-- stores: made by `deno task readme`, checked by the tests -->";
const END = "<!-- end of permissions -->";

/** Stands for the path of the keychain's library, which depends on the machine. */
const LIBRARY = "<library>";

/** What the tables are made with, whatever this machine has. */
const VARIABLES = {
  HOME: "$HOME",
  VM_OIDC_ISSUER: "https://login.example.com",
  VM_OIDC_CLIENT_ID: "my-client",
  VM_API_HOST: "https://api.example.com/api/v1/tracking/",
  VM_API_MODEL: "cl123",
  VAULT_ADDR: "https://vault.example.com:8200",
  VAULT_TOKEN: "of the example",
};

/** The flags of the quick start's script, for README.md. */
export async function quickStartFlags(): Promise<Generated> {
  using _ = new OwnEnv(VARIABLES);
  const required = (await quickStartNeeds()).filter(({ need }) => need !== "optional");
  const flags = joinedFlags(required).join(" \\\n  ");
  return generated(BEGIN, `\`\`\`sh\ndeno run \\\n  ${flags} \\\n  script.ts\n\`\`\``, END);
}

/** The permissions that each backend declares, for client/options.md. */
export function backendTable(): Generated {
  using _ = new OwnEnv(VARIABLES);
  return generated(STORES, table(["store", "flags"], backendRows()), END);
}

/** The permissions of a whole call, for client/options.md. */
export async function needTable(): Promise<Generated> {
  using _ = new OwnEnv(VARIABLES);
  return generated(BEGIN, table(["flag", "what for", "needed"], await needRows()), END);
}

function backendRows(): string[][] {
  const url = "https://kv.example.com";
  const file = (name: string) => new FileCredentialsBackend({ path: `/srv/vm/${name}.json` });
  const encrypted = new EncryptedCredentialsBackend({
    backend: file("tokens"),
    key: { env: "TOKENS_KEY" },
  });
  const both = [new MemoryCredentialsBackend(), encrypted];
  const backends: [string, OidcCredentialsBackend][] = [
    ["file, the default", new FileCredentialsBackend()],
    ["file `/srv/vm/tokens.json`", file("tokens")],
    ["memory", new MemoryCredentialsBackend()],
    ["Deno KV in memory", new KvCredentialsBackend()],
    ["Deno KV file `/srv/vm/tokens.db`", new KvCredentialsBackend({ path: "/srv/vm/tokens.db" })],
    [`Deno KV server \`${url}\``, new KvCredentialsBackend({ path: url })],
    ["encrypted: that file, its key in `TOKENS_KEY`", encrypted],
    ["fallback: memory and the encrypted file", new FallbackCredentialsBackend({ backends: both })],
    ["keychain", new KeychainCredentialsBackend()],
    [
      "helper `docker-credential-pass`",
      new HelperCredentialsBackend({ program: "docker-credential-pass" }),
    ],
    [
      "Vault, with `address` and the Kubernetes login",
      new VaultCredentialsBackend({
        address: "https://vault.example.com:8200",
        path: "users/anna",
        auth: { method: "kubernetes", role: "notebooks" },
      }),
    ],
    ["Vault, with its variables", new VaultCredentialsBackend({ path: "users/anna" })],
  ];
  return backends.map(([name, backend]) => {
    const flags = joinedFlags(backend.requiredPermissions!());
    const kv = backend instanceof KvCredentialsBackend ? ["--unstable-kv"] : [];
    return [name, [...flags, ...kv].map((one) => `\`${one}\``).join(" ") || "none"];
  });
}

async function needRows(): Promise<string[][]> {
  const needs = await quickStartNeeds();
  const words = { always: "always", sign_in: "to sign in or refresh", optional: "no" };
  const seen = new Map<string, number>();
  const groups = Map.groupBy(
    needs.toSorted((a, b) => rank(a) - rank(b)),
    ({ need, reason }) => {
      const key = `${need} ${reason}`;
      const count = seen.get(key) ?? 0;
      seen.set(key, count + 1);
      return `${key} ${Math.floor(count / 3)}`; // three in a row
    },
  );
  return [...groups.values()].map((group) => {
    const flags = joinedFlags(group).map((one) => `\`${one.replaceAll(",", "`, `")}\``);
    return [flags.join(" "), group[0]!.reason, words[group[0]!.need]];
  });
}

/** The needs of the quick start, whose hosts and model come from the environment. */
async function quickStartNeeds(): Promise<PermissionNeed[]> {
  return await requiredPermissions({});
}

function rank({ need }: PermissionNeed): number {
  return ["always", "sign_in", "optional"].indexOf(need);
}

/** The flags for several permissions, each kind once: older Denos refuse a flag that comes again. */
function joinedFlags(permissions: readonly Deno.PermissionDescriptor[]): string[] {
  const shown = permissions.map((one) => one.name === "ffi" ? { ...one, path: LIBRARY } : one);
  // The shell has to expand $HOME.
  return formatPermissionFlags(shown).replaceAll("'", "").split(" ").filter(Boolean);
}
