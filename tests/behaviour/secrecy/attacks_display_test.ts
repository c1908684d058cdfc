import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { json } from "../../support/http_server.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

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
      await rejectsWith("provider_invalid", () => createSession(world.options));
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
  await createSession(world.options);
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
      const error = await rejectsWith("provider_refused", () => createSession(world.options));
      assertClean(error.message);
      assertClean(error.oauthError!);
      assertEquals(error.message.length < 700, true);
    }
  });
}

Deno.test("attack: control characters in code and name: none reaches the terminal", async () => {
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  provider.script.device.push(() => provider.device({ user_code: EVIL }));
  const id_token = await provider.idToken({ email: EVIL, preferred_username: EVIL });
  provider.script.token.push(() => provider.tokens({ id_token }));
  const { code, stderr, stdout } = await runDeno({
    code: `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      await createSession({ issuer: ${JSON.stringify(provider.issuer)}, clientId: "validmind-test",
        credentialsBackend: new MemoryCredentialsBackend(), delay: () => Promise.resolve() });
    `,
    flags: ["--allow-net=127.0.0.1", "--allow-env"],
  });
  assertEquals([code, stdout], [0, ""], stderr);
  assertStringIncludes(stderr, "Confirm this code   a [31m");
  assertMatch(stderr, /Signed in as a \[31m/);
  for (const line of stderr.trimEnd().split("\n")) assertClean(line);
});
