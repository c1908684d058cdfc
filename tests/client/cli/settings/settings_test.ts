import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../../../client/cli/main.ts";
import type { FlagValues } from "../../../../client/cli/flags.ts";
import { parseCommandLine } from "../../../../client/cli/parse_command_line.ts";
import { sessionOptions, sourcesOf } from "../../../../client/cli/sign_in_target.ts";
import { withEnv } from "../../../support/own_env.ts";
import { sandbox } from "../../../support/sandbox.ts";

const { folder } = sandbox();
const A = { issuer: "https://a.example", clientId: "app" };
const B = { issuer: "https://b.example", clientId: "two" };

function write(document: unknown): string {
  const path = `${folder()}/config.json`;
  Deno.writeTextFileSync(path, JSON.stringify(document), { mode: 0o600 });
  return path;
}

/** The flags of a command line, with this settings file. */
function flagsOf(document: unknown, ...args: string[]): FlagValues {
  const line = parseCommandLine([...args, "--config", write(document)], COMMANDS);
  assert(line.kind === "run");
  return line.flags.withSettings(line.command.flags);
}

Deno.test("settings: a flag wins over a variable, and a variable over the file", async () => {
  const document = { default: { ...A, scope: "openid", audience: "https://api.a.example" } };
  const env = { VM_OIDC_CLIENT_ID: "of-variable", VM_OIDC_SCOPE: "openid email" };
  await withEnv(env, () => {
    const flags = flagsOf(document, "status", "--scope", "openid admin");
    const { issuer, audience } = document.default;
    assertEquals(sessionOptions(flags), { issuer, audience, scope: "openid admin" });
    const { path } = flags.settings;
    assertEquals(sourcesOf(flags), {
      issuer: path!,
      clientId: "VM_OIDC_CLIENT_ID",
      audience: path!,
      scope: "--scope",
    });
  });
});

Deno.test("settings: a profile takes nothing from default, and one that is not there takes all", async () => {
  const document = { default: { ...A, scope: "openid" }, profiles: { two: B } };
  await withEnv({}, () => {
    const named = flagsOf(document, "status", "--profile", "two");
    assertEquals(sessionOptions(named), { ...B, profile: "two" });
    assertEquals(named.settings.entryName, "profiles.two");
    const other = flagsOf(document, "status", "--profile", "three");
    assertEquals(sessionOptions(other), { ...A, scope: "openid", profile: "three" });
  });
});

Deno.test("settings: a profile that is typed wins over variables, one of a variable does not", async () => {
  const document = { profiles: { two: { ...B, backend: "kv" } } };
  const variables = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CREDENTIALS_BACKEND: "vault" };
  await withEnv(variables, () => {
    const { settings } = flagsOf(document, "status", "--profile", "two");
    assertEquals([settings.text("issuer"), settings.text("backend")], [B.issuer, "kv"]);
    const flags = flagsOf(document, "status", "--profile", "two", "--issuer", "https://c.example");
    assertEquals(sessionOptions(flags).issuer, "https://c.example");
  });
  await withEnv({ ...variables, VM_OIDC_PROFILE: "two" }, () => {
    const { settings } = flagsOf(document, "status");
    assertEquals(settings.used, ["clientId"]);
    assert(settings.isProfileByVariable);
  });
});

Deno.test("settings: an API key of the variables wins, unless the provider is typed", async () => {
  await withEnv({ VM_API_KEY: "k", VM_API_SECRET: "s" }, () => {
    assertEquals(sessionOptions(flagsOf({ default: A }, "status")), {});
    const typed = flagsOf({ default: A }, "status", "--issuer", B.issuer);
    assertEquals(sessionOptions(typed), { issuer: B.issuer, clientId: A.clientId });
  });
});

Deno.test("settings: a command takes what it has a flag for", async () => {
  const entry = { ...A, scope: "openid", redirectUri: "http://localhost", openBrowser: true };
  await withEnv({}, () => {
    assertEquals(sessionOptions(flagsOf({ default: entry }, "logout")), A);
    assertEquals(sessionOptions(flagsOf({ default: entry }, "login")), entry);
    const { openBrowser: _, ...rest } = entry;
    const shown = sessionOptions(flagsOf({ default: entry }, "login", "--no-open"));
    assertEquals(shown, { ...rest, openBrowser: false });
    const job = sessionOptions(
      flagsOf({ default: entry }, "login", "--flow", "client_credentials"),
    );
    assertEquals(job, { ...rest, flow: "client_credentials" });
  });
});

Deno.test("settings: parameters of the file give way to a flag for them as a whole", async () => {
  const entry = { ...A, authorizationParameters: { prompt: "login", acr_values: "2" } };
  await withEnv({}, () => {
    const of = (...args: string[]) =>
      sessionOptions(flagsOf({ default: entry }, "login", ...args)).authorizationParameters;
    assertEquals(of(), entry.authorizationParameters);
    assertEquals(of("--consent"), { prompt: "consent" });
    assertEquals(of("--parameter", "a=b"), { a: "b" });
  });
});

Deno.test("settings: VM_OIDC_NO_PERSIST=0 leaves the backend to the file, =1 does not", async () => {
  const document = { default: { ...A, backend: "kv" } };
  for (const [VM_OIDC_NO_PERSIST, used] of [["0", "kv"], ["1", undefined]] as const) {
    await withEnv(
      { VM_OIDC_NO_PERSIST },
      () => assertEquals(flagsOf(document, "status").settings.text("backend"), used),
    );
  }
});

const KEY = { ...A, clientKeyFile: "/keys/app.pem" };

for (
  const [what, args, env, isUsed] of [
    ["the client of the file", [], {}, true],
    ["the same client, typed", ["--issuer", `${A.issuer}/`, "--client-id", A.clientId], {}, true],
    ["another issuer, typed", ["--issuer", B.issuer], {}, false],
    ["another client, typed", ["--client-id", "other"], {}, false],
    ["another issuer of a variable", [], { VM_OIDC_ISSUER: B.issuer }, false],
    [
      "the same client of variables",
      [],
      { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CLIENT_ID: A.clientId },
      true,
    ],
    [
      "the same client of variables, which have its secret",
      [],
      { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CLIENT_ID: A.clientId, VM_OIDC_CLIENT_SECRET: "s" },
      false,
    ],
    ["the client of the file, beside a secret of nobody", [], { VM_OIDC_CLIENT_SECRET: "s" }, true],
  ] as const
) {
  const verb = isUsed ? "is" : "is not";
  Deno.test(`settings: the client's key ${verb} for ${what}`, async () => {
    await withEnv(env, () => {
      const flags = flagsOf({ default: KEY }, "login", ...args);
      const used = sessionOptions(flags).clientKeyFile;
      assertEquals(used, isUsed ? KEY.clientKeyFile : undefined);
    });
  });
}

Deno.test("settings: a file that is named has to be there", async () => {
  await withEnv({}, () => {
    const line = parseCommandLine(["status", "--config", `${folder()}/none.json`], COMMANDS);
    assert(line.kind === "run");
    const { fault } = line.flags.withSettings(line.command.flags).settings;
    assertStringIncludes(fault!.message, "there is no such file. Check the path of --config.");
  });
});
