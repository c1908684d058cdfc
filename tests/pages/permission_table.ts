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
import { isUsed } from "../../client/permissions/preflight.ts";
import { table } from "./generated_part.ts";
import { OwnEnv } from "../support/own_env.ts";

/** Stands for the path of the keychain's library, which depends on the machine. */
const LIBRARY = "LIBRARY";

/** What the tables are made with, whatever this machine has. */
const VARIABLES = {
  HOME: "/$HOME", // a whole path, as the module demands it
  VM_OIDC_ISSUER: "https://login.example.com",
  VM_OIDC_CLIENT_ID: "my-client",
  VM_API_HOST: "https://api.example.com/api/v1/tracking/",
  VM_API_MODEL: "cl123",
  VAULT_ADDR: "https://vault.example.com:8200",
  VAULT_TOKEN: "of the example",
};

/** Variables that many people set beside those of the quick start. Without their flags they do not count. */
const OFTEN_SET = /^VM_OIDC_(SCOPE|AUDIENCE|FLOW|PROFILE)$/;

/** The flags of the quick start's script, for README.md. */
export async function quickStartFlags(): Promise<string> {
  using _ = new OwnEnv(VARIABLES);
  const needs = await requiredPermissions({});
  const isOftenSet = (need: PermissionNeed) =>
    need.name === "env" && OFTEN_SET.test(need.variable!);
  const required = needs.filter((need) => isUsed(need) || isOftenSet(need));
  const flags = joinedFlags(required).join(" \\\n  ");
  return `\`\`\`sh\ndeno run \\\n  ${flags} \\\n  script.ts\n\`\`\``;
}

/** The permissions that each backend declares, for client/options.md. */
export function backendList(): string {
  using _ = new OwnEnv(VARIABLES);
  return backendRows().map(([name, flags]) => `- **${name}**: ${flags}`).join("\n");
}

/** The permissions of a whole call, for client/options.md. */
export async function needTable(): Promise<string> {
  using _ = new OwnEnv(VARIABLES);
  return table(["flag", "purpose", "needed"], await needRows());
}

function backendRows(): string[][] {
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

/** The needs of the quick start, whose hosts and model come from the environment. */
async function needRows(): Promise<string[][]> {
  const words = { always: "always", sign_in: "to sign in or refresh", optional: "no" };
  const rank = ({ need }: PermissionNeed) => Object.keys(words).indexOf(need);
  const needs = (await requiredPermissions({})).toSorted((a, b) => rank(a) - rank(b));
  const groups = Map.groupBy(needs, ({ need, reason }) => `${need} ${reason}`);
  return [...groups.values()].flatMap((group) => {
    const [{ need, reason }] = group as [PermissionNeed];
    const parts = group.flatMap((_, at) => at % 3 === 0 ? [group.slice(at, at + 3)] : []);
    return parts.map((part) => {
      const flags = joinedFlags(part).map((one) => `\`${one.replaceAll(",", "`, `")}\``);
      return [flags.join(" "), reason, words[need]];
    });
  });
}

/** The flags for several permissions, each kind once: older Denos refuse a flag that comes again. */
function joinedFlags(permissions: readonly Deno.PermissionDescriptor[]): string[] {
  const shown = permissions.map((one) => one.name === "ffi" ? { ...one, path: LIBRARY } : one);
  // The shell has to expand $HOME.
  const text = formatPermissionFlags(shown).replaceAll("'", "").replaceAll("/$HOME", "$HOME");
  const flags = text.split(" ").filter(Boolean);
  return flags.map((flag) => flag.includes("$HOME") ? `"${flag}"` : flag);
}
