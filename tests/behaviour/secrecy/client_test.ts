import { createSession, FileCredentialsBackend, init } from "@validmind/auth";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { tempDir } from "../../support/temp_home.ts";
import {
  HOUR,
  oidcProviderWorld,
  renew,
  scriptedProviderWorld,
  test,
} from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";
import { json } from "../../support/http_server.ts";
import { paths } from "../../support/request_log.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

Deno.test("secrecy: session, backend, prompt, status, result and errors", async () => {
  await using world = await oidcProviderWorld({ jwtAccessTokens: true });
  await using dir = await tempDir();
  const backend = new FileCredentialsBackend({ path: `${dir.path}/credentials.json` });
  using streams = new OwnStreams();
  world.provider.autoApprove = true;
  const { onDeviceCode: _, ...options } = world.options;
  const session = await init({ ...options, credentialsBackend: backend, model: "m" });
  assertStringIncludes(streams.written.stderr, "Signed in as");
  const first = tokensOf(backend.get(world.key)!);
  await renew(session);
  const tokens = [...first, ...tokensOf(backend.get(world.key)!)];
  assertEquals(tokens.length, 6);
  const values: unknown[] = [session, backend, await session.status(), session.info];
  values.push(await session.get("error").catch((error) => error));
  values.push(await session.fetch("https://example.com").catch((error) => error));
  world.provider.revokeGrants();
  world.clock.advance(HOUR);
  values.push(await session.accessToken().catch((error) => error));
  values.push(await session.clear({ revoke: true }), streams.written);
  // All of a token but the part that many share.
  const secrets = tokens.map((token) => token.slice(token.lastIndexOf(".") + 1));
  for (const value of values) assertNoSecret(value, secrets);
});

const PAGES = [
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  " javascript:alert(1)",
  "java\nscript:alert(1)",
  "data:text/html,<script>alert(1)</script>",
  "vbscript:x",
  "file:///etc/passwd",
  "ms-msdt:/id",
  "ssh://host",
  "http://login.example.com/activate",
  "activate",
  "//login.example.com/activate",
];

for (const name of ["verification_uri", "verification_uri_complete", "verification_url"]) {
  Deno.test(`attack: ${name} that is no page of the web: refused, never shown`, async () => {
    for (const page of PAGES) {
      await using world = await scriptedProviderWorld();
      const standard = name === "verification_url" ? { verification_uri: undefined } : {};
      world.provider.script.device.push(() => world.provider.device({ ...standard, [name]: page }));
      await rejectsWith("provider_invalid", () => world.signIn());
      assertEquals(world.codes, []);
      assertEquals(paths(world.provider.requests).includes("/token"), false, page);
    }
  });
}

/** Colours, a changed title, a cleared screen, a link, a bell, a bidi override, C1 controls. */
const EVIL = "a\x1b[31m\x1b]0;x\x07\x1b[2J\x1b]8;;https://evil.example\x07\u202e\x9b1m\r\nb\u2028c";

function assertClean(text: string): void {
  assertEquals(/[\p{C}\p{Zl}\p{Zp}]/u.test(text), false, JSON.stringify(text));
}

test("attack: control characters in a device answer: none reaches the prompt", async (world) => {
  world.provider.script.device.push(() =>
    world.provider.device({
      user_code: EVIL,
      verification_uri: `https://login.example.com/${EVIL}`,
      verification_uri_complete: `https://login.example.com/?c=${EVIL}`,
    })
  );
  await world.signIn();
  const { userCode, verificationUri, verificationUriComplete } = world.codes[0]!;
  for (const text of [userCode, verificationUri, verificationUriComplete!]) assertClean(text);
});

for (const step of ["device", "token"] as const) {
  test(`attack: control characters in an error from ${step}: none reaches the message`, async (world) => {
    const answers = [
      { error: EVIL, error_description: EVIL },
      { error: "invalid_request", error_description: EVIL },
      { error: "invalid_request", error_description: EVIL.repeat(1000) },
    ];
    for (const answer of answers) {
      world.provider.script[step].push(() => json(answer, 400));
      const error = await rejectsWith("provider_refused", () => world.signIn());
      assertClean(error.message);
      assertClean(error.oauthError!);
      assertEquals(error.message.length < 700, true);
    }
  });
}

test("attack: control characters in code and name: none reaches the terminal", async (world) => {
  const { provider } = world;
  provider.script.device.push(() => provider.device({ user_code: EVIL }));
  const id_token = await provider.idToken({ email: EVIL, preferred_username: EVIL });
  provider.script.token.push(() => provider.tokens({ id_token }));
  using streams = new OwnStreams();
  const { onDeviceCode: _, ...options } = world.options;
  await createSession(options);
  const { stdout, stderr } = streams.written;
  assertEquals(stdout, "");
  assertStringIncludes(stderr, "Confirm this code   a [31m");
  assertMatch(stderr, /Signed in as a \[31m/);
  for (const line of stderr.trimEnd().split("\n")) assertClean(line);
});
