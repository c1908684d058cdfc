// Processes that are killed or stopped while they hold a lease of a real server, at default options.
import { assert, assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { clearOidcCredentials, createSession } from "../../../mod.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { ALL, backendUrl, startDeno } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { startDenokv } from "../../support/servers/denokv_server.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";

const KILLED = 6;
const KEYS_OF_EACH = 8;
const LONGEST_MS = 30_000;
const PAUSE_MS = 20_000;

type ScriptedWorld = Awaited<ReturnType<typeof scriptedProviderWorld>>;

interface Opened extends AsyncDisposable {
  /** Makes `backend` in a program. */
  code: string;
  env?: Record<string, string>;
  make(): Required<Pick<OidcCredentialsBackend, "get" | "put" | "delete" | "withLock" | "close">>;
}

async function openVault(): Promise<Opened> {
  const vault = await startVault();
  const token = await userToken(vault, "anna");
  const options = { address: vault.url, path: "users/anna", auth: { method: "token", token } };
  return {
    code: `
      import { VaultCredentialsBackend } from ${JSON.stringify(backendUrl("vault.ts"))};
      const backend = new VaultCredentialsBackend(${JSON.stringify(options)});`,
    make: () => vaultBackend(vault, token),
    [Symbol.asyncDispose]: () => vault[Symbol.asyncDispose](),
  };
}

async function openKv(): Promise<Opened> {
  const server = await startDenokv();
  Deno.env.set("DENO_KV_ACCESS_TOKEN", server.accessToken);
  return {
    code: `
      import { KvCredentialsBackend } from ${JSON.stringify(backendUrl("kv.ts"))};
      const backend = new KvCredentialsBackend({ path: ${JSON.stringify(server.url)} });`,
    env: { DENO_KV_ACCESS_TOKEN: server.accessToken },
    make: () => new KvCredentialsBackend({ path: server.url }),
    async [Symbol.asyncDispose]() {
      Deno.env.delete("DENO_KV_ACCESS_TOKEN");
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A program that refreshes its keys without end, as a session does, under a lock and by the entry. */
const REFRESHING = `
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const isReplaced = (before) => (now) => now?.n === before?.n;
  await Promise.all(Deno.args.map(async (key) => {
    for (;;) {
      await backend.withLock(key, async () => {
        const before = await backend.get(key);
        await later(Math.random() * 50); // the request
        const next = { ...before, n: (before?.n ?? 0) + 1 };
        await backend.put(key, next, { isReplaced: isReplaced(before) });
      });
      console.log("refreshed");
    }
  }));`;

/** A program that stands still between its request and its write. */
const PAUSED = `
  await backend.withLock(Deno.args[0], async () => {
    const before = await backend.get(Deno.args[0]);
    console.log("sent");
    await Deno.stdin.read(new Uint8Array(1));
    const isReplaced = (now) => now?.n === before?.n;
    await backend.put(Deno.args[0], { ...before, n: 1 }, { isReplaced });
  });
  console.log("stored");
  await backend.close();`;

async function killAtRandom({ code, env, make }: Opened): Promise<void> {
  const backend = make();
  const keys = Array.from(
    { length: KILLED },
    (_, child) => Array.from({ length: KEYS_OF_EACH }, (_, at) => `killed|${child}|${at}`),
  );
  for (const key of keys.flat()) await backend.put(key, entry({ n: 0 }));
  await Promise.all(keys.map(async (own) => {
    await using child = startDeno({
      code: code + REFRESHING,
      flags: ALL,
      args: own,
      ...(env && { env }),
    });
    await child.line();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
    await child.kill();
    await Promise.all(own.map(async (key) => {
      const start = performance.now();
      await backend.withLock(key, async () => {
        const before = await backend.get(key);
        await backend.put(key, entry({ n: Number(before?.n) + 1 }));
      });
      const ms = performance.now() - start;
      assert(ms < LONGEST_MS, `${key}: ${ms} ms`);
    }));
  }));
  await backend.close();
}

async function pauseBeforeTheWrite({ code, env, make }: Opened): Promise<void> {
  const backend = make();
  await backend.put("paused", entry({ n: 0 }));
  await using child = startDeno({
    code: code + PAUSED,
    flags: ALL,
    args: ["paused"],
    ...(env && { env }),
  });
  assertEquals(await child.line(), "sent");
  Deno.kill(child.pid, "SIGSTOP");
  const waiting = backend.withLock("paused", async () => (await backend.get("paused"))?.n);
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  Deno.kill(child.pid, "SIGCONT");
  await child.write("\n");
  assertEquals(await child.line(), "stored");
  assertEquals(await waiting, 1);
  await backend.close();
}

/** A sign-in, and a sign-out, whose lock is held by a process that was killed in its refresh. */
async function signInAndOut({ code, env, make }: Opened, world: ScriptedWorld): Promise<void> {
  const backend = make();
  const { issuer, clientId } = world.options;
  const whileDead = async (fn: () => Promise<unknown>) => {
    await using child = startDeno({
      code: code + PAUSED,
      flags: ALL,
      args: [world.key],
      ...(env && { env }),
    });
    assertEquals(await child.line(), "sent");
    await child.kill();
    const start = performance.now();
    await fn();
    const ms = performance.now() - start;
    assert(ms < LONGEST_MS, `${ms} ms`);
  };
  await whileDead(async () => {
    await using session = await createSession({ ...world.options, credentialsBackend: backend });
    assertEquals((await session.status()).signedIn, true);
  });
  await whileDead(() => clearOidcCredentials({ issuer, clientId, credentialsBackend: backend }));
  assertEquals(await backend.get(world.key), undefined);
  await backend.close();
}

for (const [name, open] of [["vault", openVault], ["denokv", openKv]] as const) {
  const live = await liveTests(name);
  live.test(`${name}: who was killed holds nobody up for 30 s, and a pause of 20 s loses nothing`, async () => {
    await using opened = await open();
    await using world = await scriptedProviderWorld();
    // The world has variables of its own, and Deno reads those of the process.
    for (const [name, value] of Object.entries(opened.env ?? {})) Deno.env.set(name, value);
    await Promise.all([
      killAtRandom(opened),
      pauseBeforeTheWrite(opened),
      signInAndOut(opened, world),
    ]);
  });
}
