import { assert, assertEquals } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";

const ACCESS_TOKEN = "kvToken5Jw8Rz1Qb";

/** Reads from the store at `path`; prints the code and the message of the error. */
function script(path: string, timeoutMs: number): string {
  return `
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    const path = ${JSON.stringify(path)};
    const backend = new KvCredentialsBackend({ path, timeoutMs: ${timeoutMs} });
    try {
      await backend.get("k");
      console.log("none");
    } catch (error) {
      console.log(error.code + " " + error.message + Deno.inspect(error));
    }
    await backend.close();
    if (Deno.args.length > 0) Deno.exit();
  `;
}

async function outcome(
  path: string,
  flags: string[],
  { token = ACCESS_TOKEN, timeoutMs = 5000 } = {},
): Promise<string> {
  const env = { DENO_KV_ACCESS_TOKEN: token };
  const { stdout, stderr } = await runDeno({ code: script(path, timeoutMs), flags, env });
  assertEquals(stderr, "");
  assertNoSecret(stdout, [ACCESS_TOKEN]);
  return stdout;
}

function assertHolds(text: string, ...parts: string[]): void {
  for (const part of parts) assert(text.includes(part), `no "${part}": ${text}`);
}

Deno.test("without --unstable-kv the error is unstable_kv_required and names the flag", async () => {
  const text = await outcome(":memory:", []);
  assertHolds(
    text,
    "unstable_kv_required Cannot open Deno KV",
    "--unstable-kv",
    `"unstable": ["kv"]`,
  );
});

Deno.test("a KV server that is not there is backend_unavailable, at once and by its host", async () => {
  const host = `127.0.0.1:${freePort()}`;
  const flags = ["--unstable-kv", `--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN"];
  const text = await outcome(`http://${host}/somewhere`, flags);
  assertHolds(text, `backend_unavailable Cannot use Deno KV at ${host}:`);
});

Deno.test("a KV server that Deno does not permit is permission_required, by both flags", async () => {
  const host = `127.0.0.1:${freePort()}`;
  const words = [`--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN"];
  for (const flag of words) {
    const text = await outcome(`http://${host}/`, ["--unstable-kv", flag]);
    assertHolds(text, `permission_required Cannot reach Deno KV at ${host}`, words.join(" "));
  }
});

for (
  const [what, answer] of [
    ["fails", () => new Response("no", { status: 500 })],
    ["is a captive portal", () => new Response("<html>Welcome</html>")],
  ] as const
) {
  Deno.test(`a KV server that ${what} is backend_unavailable`, async () => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
    const host = `127.0.0.1:${server.addr.port}`;
    const flags = [`--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN", "--unstable-kv"];
    const text = await outcome(`http://${host}`, flags);
    assertHolds(text, `backend_unavailable Cannot use Deno KV at ${host}:`, "Check");
  });
}

for (
  const [what, token, why] of [
    ["is refused", ACCESS_TOKEN, "is refused"],
    ["is missing", "", "is not set, or cannot be one"],
    ["cannot be one", "two words", "is not set, or cannot be one"],
  ] as const
) {
  Deno.test(`an access token for a KV server that ${what} is backend_auth_failed`, async () => {
    const refuse = () => new Response(`no ${ACCESS_TOKEN}`, { status: 401 });
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, refuse);
    const host = `127.0.0.1:${server.addr.port}`;
    const flags = [`--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN", "--unstable-kv"];
    const text = await outcome(`http://${host}`, flags, { token });
    assertHolds(
      text,
      `backend_auth_failed Cannot use Deno KV at ${host}: DENO_KV_ACCESS_TOKEN ${why}`,
    );
  });
}

Deno.test("a KV server that forbids what the access token wants is backend_denied", async () => {
  const forbid = () => new Response("no", { status: 403 });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, forbid);
  const host = `127.0.0.1:${server.addr.port}`;
  const flags = [`--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN", "--unstable-kv"];
  assertHolds(
    await outcome(`http://${host}`, flags),
    `backend_denied Cannot use Deno KV at ${host}`,
  );
});

Deno.test("a KV server that does not answer is backend_timeout after the time limit", async () => {
  const release = Promise.withResolvers<Response>();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => release.promise,
  );
  const host = `127.0.0.1:${server.addr.port}`;
  const flags = [`--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN", "--unstable-kv"];
  try {
    const text = await outcome(`http://${host}`, flags, { timeoutMs: 300 });
    assertHolds(text, "backend_timeout", host, "no answer within the time limit (timeoutMs)");
  } finally {
    release.resolve(new Response());
  }
});

Deno.test("a KV server that fails after a good start is given up, too", async () => {
  const answer = (request: Request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/") return new Response(null, { status: 503 });
    return Response.json({
      version: 2,
      databaseId: "00000000-0000-4000-8000-000000000000",
      endpoints: [{ url: new URL("/data", request.url).href, consistency: "strong" }],
      token: ACCESS_TOKEN,
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const host = `127.0.0.1:${server.addr.port}`;
  const env = { DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN };
  const flags = [`--allow-net=${host}`, "--allow-env=DENO_KV_ACCESS_TOKEN", "--unstable-kv"];
  // Deno goes on with an operation that was given up, and keeps the process for it.
  const args = ["exit"];
  const { stdout, stderr } = await runDeno({
    code: script(`http://${host}`, 300),
    flags,
    args,
    env,
  });
  assertHolds(stdout, "backend_timeout", host, "no answer within");
  assertNoSecret(stdout + stderr, [ACCESS_TOKEN]); // Deno reports each of its tries on stderr
});
