import { createSession, MemoryCredentialsBackend, type SessionOptions } from "@validmind/auth";
import { oidcProviderWorld, test } from "../support/provider_world.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { withEnv } from "../support/own_env.ts";
import { OwnStreams } from "../support/own_streams.ts";
import { withTempHome } from "../support/temp_home.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { runDeno } from "../support/deno_process.ts";
import { assertEquals, assertMatch } from "@std/assert";

const SCOPES: [stored: string | null | undefined, asked: string, prompts: number][] = [
  ["openid offline_access", "openid offline_access email", 2],
  ["openid offline_access email", "openid offline_access", 1],
  ["offline_access openid", "openid offline_access", 1],
  ["openid", "open", 2],
  ["", "openid", 2],
  [undefined, "openid offline_access email", 1],
  [null, "openid offline_access email", 1],
];

for (const [stored, asked, prompts] of SCOPES) {
  test(`sign-in: stored scope "${stored}", asked "${asked}"`, async (world) => {
    await createSession({ ...world.options, scope: "openid offline_access" });
    world.amend({ scope: stored });
    await createSession({ ...world.options, scope: asked });
    assertEquals(world.codes.length, prompts);
    assertEquals<unknown>(world.stored().scope, prompts === 2 ? asked : stored);
  });
}

test("sign-in: options are those of the call, whatever their object becomes meanwhile", async (world) => {
  const options = { ...world.options, profile: "mine" };
  const call = createSession(options);
  options.profile = "other";
  assertEquals((await (await call).status()).profile, "mine");
});

test("sign-in: interactive false, as an option or a variable, fails without a request", async (world) => {
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const run = () => createSession({ ...options, interactive: false });
  await rejectsWith("login_required", run, world.provider.issuer);
  Deno.env.set("VM_OIDC_INTERACTIVE", "0");
  await rejectsWith("login_required", () => createSession(options));
  assertEquals([world.provider.requests, backend.calls], [[], ["get", "get"]]);
  await createSession({ ...options, interactive: true });
  assertEquals(world.codes.length, 1);
});

test("sign-in: where asking is forbidden, the error names what forbids it, and the way on", async (world) => {
  const { issuer, clientId } = world.provider;
  const silent = { issuer, clientId, onDeviceCode: undefined };
  using _streams = new OwnStreams(); // no terminal
  const cases: [words: string, variables: Record<string, string>, options: SessionOptions][] = [
    ["interactive (VM_OIDC_INTERACTIVE) is false in the variables.", {
      VM_OIDC_INTERACTIVE: "0",
    }, {}],
    ["interactive (VM_OIDC_INTERACTIVE) is false in the options.", {}, { interactive: false }],
    ["CI is set, and there is no terminal.", { CI: "true" }, {}],
  ];
  for (const [words, variables, options] of cases) {
    await withTempHome(async () => {
      await withEnv(variables, async () => {
        const run = (more = {}) => createSession({ ...silent, ...options, ...more });
        const login = `Sign in with\n  deno run -A --no-config jsr:@validmind/auth/cli login`;
        const here = "run init() in a notebook or a terminal without that setting.";
        await rejectsWith("login_required", run, `No person may be asked: ${words} ${login}`, here);
        const memory = { credentialsBackend: new MemoryCredentialsBackend() };
        const alone = `${words} Nothing is stored beyond this process: ${here}`;
        await rejectsWith("login_required", () => run(memory), alone);
      });
    });
  }
  assertEquals(world.provider.requests, []);
});

Deno.test("sign-in: without a refresh token a session ends with login_required, unasked", async () => {
  await using world = await oidcProviderWorld({ issueRefreshToken: false });
  const session = await createSession(world.options);
  world.clock.advance(3600_000);
  const words = ["there is no refresh token", "prompt=consent"];
  await rejectsWith("login_required", () => session.accessToken(), ...words);
  assertEquals(world.codes.length, 1);
  await createSession(world.options); // this one may ask
  assertEquals(world.codes.length, 2);
  const unasked = await createSession({ ...world.options, scope: "openid", profile: "unasked" });
  world.clock.advance(3600_000);
  const reason = "Ask for the scope offline_access";
  await rejectsWith("login_required", () => unasked.accessToken(), reason);
});

/** Errors by their issuer: the code, and words that are there once. */
const PRINTED: [issuer: string, code: string, words: string][] = [
  ["http://login.example.com", "insecure_url", "[insecure_url]"],
  ["http://[::1]:1", "provider_unavailable", "[provider_unavailable]"],
  ["https://login.example.com", "permission_required", "[permission_required]"], // several lines
];

Deno.test("an error is printed once with its code, caught or not, and its stack begins at the caller", async () => {
  for (const [issuer, name, words] of PRINTED) {
    const code = `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      const options = { issuer: "${issuer}", clientId: "c", onDeviceCode() {},
        credentialsBackend: new MemoryCredentialsBackend() };
      const mine = async () => await createSession(options);
      try { await mine(); } catch (error) { console.log(error); }
      await mine();
    `;
    const begin = new RegExp(`ValidMindAuthError \\[${name}\\]: Cannot [^]*\n {4}at async mine `);
    const net = issuer.includes("[::1]") ? ["--allow-net"] : [];
    const { stdout, stderr } = await runDeno({ code, flags: ["--allow-env", ...net] });
    for (const text of [stdout, stderr]) { // which Deno prints by rules of its own
      assertMatch(text, begin);
      assertEquals(text.split(words).length, 2, text);
    }
  }
});
