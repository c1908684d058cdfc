import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { MemoryCredentialsBackend } from "../../../../backends/memory.ts";
import { createSession } from "../../../../client/create_session.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { Browser } from "../../../support/browser.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { startServerProcess } from "../../../support/servers/server_process.ts";
import { serverBinary } from "../../../support/servers/servers.ts";

/** Dex of 2026-08-06, whose releases since version 2 Go's proxy does not have by their numbers. */
const live = await liveTests("dex");

/** Starts Dex, whose one person is signed in without a page. */
async function startDex() {
  const address = `127.0.0.1:${freePort()}`;
  const server = await startServerProcess({
    command: [await serverBinary("dex"), address],
    readyOn: "stdout",
    ready: /^(http:\S+)$/,
  });
  return { issuer: server.said, [Symbol.asyncDispose]: () => server.end("KILL") };
}

const BY_FLOW: Record<string, SessionOptions> = {
  device: {
    async onDeviceCode({ verificationUriComplete }) {
      const browser = new Browser();
      await browser.submit(await browser.open(verificationUriComplete!));
    },
  },
  browser: {
    async onAuthorizationUrl({ url }) {
      await new Browser().open(url);
    },
  },
};

for (const [flow, options] of Object.entries(BY_FLOW)) {
  live.test(`Dex: ${flow}, refresh with rotation, and a sign-out that it cannot revoke`, async () => {
    await using dex = await startDex();
    const { issuer } = dex;
    const credentialsBackend = new MemoryCredentialsBackend();
    const stored = async () => {
      const [key] = await Array.fromAsync(credentialsBackend.list());
      return (await credentialsBackend.get(key!))!;
    };
    const all = { ...options, issuer, clientId: "public", credentialsBackend } as const;
    await using session = await createSession({ ...all, flow: flow as "device" | "browser" });
    const before = await stored();
    assertEquals((await session.status()).email, "analyst@example.com");
    await session.accessToken({ forceRefresh: true });
    const after = await stored();
    for (const name of ["access_token", "refresh_token", "id_token"] as const) {
      assert(before[name]);
      assertNotEquals(after[name], before[name], name);
    }
    const body = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: all.clientId,
      refresh_token: before.refresh_token!,
    });
    const copied = await fetch(`${issuer}/token`, { method: "POST", body });
    assertEquals([copied.status, (await copied.json()).error], [400, "invalid_request"]);
    assertEquals((await session.clear({ revoke: true })).revocation, "not_supported");
  });
}
