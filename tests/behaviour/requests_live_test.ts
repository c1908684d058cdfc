// What each action of a session costs at the provider and at the stores of a server.
import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  clearOidcCredentials,
  createSession,
  KvCredentialsBackend,
  type SessionOptions,
} from "@validmind/auth";
import { userToken, vaultBackend } from "../backends/vault/vault_world.ts";
import { startFaultyProxy } from "../support/faulty_proxy.ts";
import { oidcProviderWorld } from "../support/provider_world.ts";
import { startDenokv } from "../support/servers/denokv_server.ts";
import { liveTests } from "../support/servers/live_tests.ts";
import { startVault } from "../support/servers/vault_server.ts";
import { spyFetch } from "../support/spy_fetch.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";

const ACTIONS = [
  "a sign-in by device code, approved at the first poll",
  "a start from a stored token",
  "a refresh in a session that signed in",
  "a start with an expired token",
  "a sign-out that revokes the grant",
];

const PAGE = new URL("../../.github/RELIABILITY.md", import.meta.url);
const HOUR = 3_600_000;

interface CountedStore {
  /** Variables that the store reads. */
  env?: Record<string, string>;
  open(): OidcCredentialsBackend & { close(): Promise<void> };
  count(): number;
}

/** The requests of each action at the provider and at the store, each action in a program of its own. */
async function requestsOf({ env = {}, open, count }: CountedStore): Promise<[number, number][]> {
  await using world = await oidcProviderWorld();
  const { requests } = world.provider;
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  const rows: [number, number][] = [];
  const during = async (action: () => Promise<unknown>) => {
    const before = [requests.length, count()] as const;
    await action();
    rows.push([requests.length - before[0], count() - before[1]]);
  };
  const { issuer, clientId, onDeviceCode, now, delay } = world.options as Required<SessionOptions>;
  const inProgram = async (use: (backend: OidcCredentialsBackend) => Promise<unknown>) => {
    const backend = open();
    await use(backend);
    await backend.close();
  };
  const start = (backend: OidcCredentialsBackend) =>
    createSession({ issuer, clientId, onDeviceCode, now, delay, credentialsBackend: backend });
  await inProgram(async (backend) => {
    let session: Awaited<ReturnType<typeof start>>;
    await during(async () => session = await start(backend));
    await inProgram((other) => during(() => start(other)));
    world.clock.advance(2 * HOUR);
    await during(() => session.accessToken());
  });
  world.clock.advance(2 * HOUR);
  await inProgram((backend) => during(() => start(backend)));
  await inProgram((credentialsBackend) =>
    during(() => clearOidcCredentials({ issuer, clientId, credentialsBackend, revoke: true }))
  );
  return rows;
}

const live = await liveTests("vault", "denokv");

live.test("RELIABILITY says what each action costs at the provider, at Vault and at KV Connect", async () => {
  await using vault = await startVault();
  const token = await userToken(vault, "anna");
  const inVault = (mount: string, options: { kvVersion?: 1 | 2 } = {}) => {
    const fetch = spyFetch();
    const open = () => vaultBackend(vault, token, { mount, ...options, fetch });
    return requestsOf({ open, count: () => fetch.urls.length });
  };
  const [inKv2, inKv1] = [await inVault("secret"), await inVault("kv1")];
  const findsEntry = (action: string) => /^a (start|sign-out) /.test(action);
  for (const [mount, kvVersion, asked] of [["secret", 2, inKv2], ["kv1", 1, inKv1]] as const) {
    const counts = (await inVault(mount, { kvVersion })).map(([, count]) => count);
    const fewer = ACTIONS.map((action, at) => asked[at]![1] - Number(findsEntry(action)));
    assertEquals(counts, fewer, `kvVersion: ${kvVersion}`);
  }
  await using denokv = await startDenokv();
  await using proxy = startFaultyProxy(() => Number(new URL(denokv.url).port));
  const inKv = await requestsOf({
    env: { DENO_KV_ACCESS_TOKEN: denokv.accessToken },
    open: () => new KvCredentialsBackend({ path: `http://${proxy.address}` }),
    count: () => proxy.met.none,
  });
  const rows = tableOf(await Deno.readTextFile(PAGE));
  assertEquals(
    rows.map((row) => row.slice(0, 4)),
    ACTIONS.map((action, at) => [action, ...[...inKv2[at]!, inKv1[at]![1]].map(String)]),
  );
  for (const [at, [action, provider, , , kv]] of rows.entries()) {
    assertEquals(String(inKv1[at]![0]), provider, action);
    assertEquals(String(inKv[at]![0]), provider, action);
    // Deno may join a read to another one, or not.
    assertAlmostEquals(inKv[at]![1], Number(kv), 1, action);
  }
});

/** The cells of the page's table. */
function tableOf(page: string): string[][] {
  const [, table] = /\n## Requests\n.*?\n\|[- |]+\|\n(.*?)\n\n/s.exec(page) ?? [];
  if (table === undefined) throw new Error("the page has no table of requests");
  return table.split("\n").map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()));
}
