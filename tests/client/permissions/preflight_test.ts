import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  clearOidcCredentials,
  createSession,
  FileCredentialsBackend,
  init,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  setDefaultBackend,
} from "@validmind/auth";
import { fromFileUrl } from "@std/path";
import { quoteArgument } from "../../../backends/common/runtime.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { replace } from "../../support/replace.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { hasTerminal, runInTerminal } from "../../support/terminal.ts";
import { testWith, whyWithout } from "../../support/test_with.ts";

const OIDC = { issuer: "https://b.example.com", clientId: "c", apiHost: "https://a.example.com/" };
const memory = () => new MemoryCredentialsBackend();
const SCRIPT = quoteArgument(fromFileUrl(Deno.mainModule));
/** Of the variables only those that may forbid to ask a person. */
const PERSON = "--allow-env=VM_OIDC_INTERACTIVE,CI,VM_AUTH_DEBUG";
const HOSTS = "--allow-net=a.example.com:443,b.example.com:443";

/** A test that may do no more than these. Deno reads what is imported before. */
function withPermissions(
  name: string,
  permissions: Deno.TestDefinition["permissions"],
  fn: () => Promise<unknown>,
): void {
  Deno.test({ name: `preflight: ${name}`, permissions, fn: () => fn().then(() => undefined) });
}

const start = (options: SessionOptions) => () => createSession({ ...OIDC, ...options });

withPermissions("a kernel that gave up its permissions has to start again", "none", async () => {
  using _ = new FakeKernel();
  const { remedy } = await rejectsWith("permission_required", () => init({ model: "m" }));
  assertEquals(remedy, "Restart the kernel: what it gave up does not come back.");
});

withPermissions("what is missing is told with reasons and flags", "none", async () => {
  const run = start({ credentialsBackend: memory(), scope: "openid" });
  const { message } = await rejectsWith("permission_required", run);
  const why = "Deno does not permit net a.example.com:443 (to call the API). Run";
  assertEquals(message.split("\n"), [
    `Cannot sign in: ${why}`,
    `  deno test ${HOSTS} ${PERSON} ${SCRIPT}`,
    "or, shorter,",
    `  deno test -A ${SCRIPT}`,
    "with your script's own flags and arguments.",
  ]);
});

withPermissions(
  "a worker, which has no main module, is told of its own permissions",
  "none",
  async () => {
    using _ = replace(Deno, "mainModule", undefined!);
    const run = start({ credentialsBackend: memory() });
    await rejectsWith("permission_required", run, `${PERSON} script.ts\n`, "A worker also needs");
  },
);

withPermissions("the command keeps the kinds that are granted as a whole", {
  env: true,
  ffi: true,
  read: ["/data"],
}, async () => {
  const flags = "--allow-net=a.example.com:443,b.example.com:443 --allow-env --allow-ffi";
  const run = start({ credentialsBackend: memory() });
  await rejectsWith("permission_required", run, `Run\n  deno test ${flags} ${SCRIPT}\n`);
});

withPermissions("the flags are in the order of requiredPermissions", "none", async () => {
  const needs = [{ name: "net", host: "vault.example.com:8200" }] as const;
  const credentialsBackend = Object.assign(memory(), { requiredPermissions: () => [...needs] });
  const run = () => init({ ...OIDC, model: "m", credentialsBackend });
  await rejectsWith("permission_required", run, `\n  deno test ${HOSTS},vault.example.com:8200 `);
});

withPermissions("an API key needs its host, and no other", "none", async () => {
  const { apiHost } = OIDC;
  const run = () => init({ apiKey: "k", apiSecret: "s", model: "m", apiHost });
  const { message } = await rejectsWith("permission_required", run, "net a.example.com:443 (to");
  assertEquals(/b\.example|--allow-(read|write)/.test(message), false);
});

withPermissions(
  "a path with a comma, which no flag can carry, leaves all permissions",
  "none",
  async () => {
    const credentialsBackend = new FileCredentialsBackend({ path: "/a,b/c.json" });
    const run = start({ credentialsBackend });
    await rejectsWith("permission_required", run, `Run\n  deno test -A ${SCRIPT}`);
  },
);

/** A store that declares what it needs. */
function declaring() {
  return Object.assign(new SpyBackend(), {
    requiredPermissions: () => [
      { name: "read", path: "/data" } as const,
      { name: "write", path: "/data", need: "sign_in" } as const,
    ],
  });
}

withPermissions("nothing is touched before the permissions are sure", "none", async () => {
  const credentialsBackend = declaring();
  const words = ["read /data (to find the stored tokens)", HOSTS, "--allow-read=/data"];
  const run = start({ credentialsBackend });
  // What a sign-in will need is in the flags already.
  await rejectsWith("permission_required", run, ...words, "--allow-write=/data");
  assertEquals(credentialsBackend.calls, []);
});

const ALWAYS = { net: ["a.example.com:443"], read: ["/data"] };

withPermissions("a sign-in is refused before it begins", ALWAYS, async () => {
  const credentialsBackend = declaring();
  const words = ["net b.example.com:443 (to sign in at the provider)", "write /data (to keep"];
  const run = start({ credentialsBackend, onDeviceCode: () => {} });
  await rejectsWith("permission_required", run, ...words, HOSTS);
  assertEquals(credentialsBackend.calls, ["get"]);
});

withPermissions("a backend that declares nothing runs with what the rest needs", {
  net: ["127.0.0.1"],
  env: true, // of the test's world
}, async () => {
  await using world = await scriptedProviderWorld();
  const { apiHost: _, ...options } = world.options;
  const credentialsBackend = new SpyBackend();
  await createSession({ ...options, credentialsBackend });
  assertEquals(credentialsBackend.rows.size, 1);
});

withPermissions("an endpoint at a host of its own is refused before the person is asked", {
  net: ["127.0.0.1"],
  env: true,
}, async () => {
  await using world = await scriptedProviderWorld();
  world.provider.discovery = { token_endpoint: "https://t.example.com/token" };
  const { apiHost: _, ...options } = world.options;
  const run = () => createSession({ ...options, credentialsBackend: memory() });
  const words = "net t.example.com:443 (to use the provider's endpoints)";
  await rejectsWith("permission_required", run, words);
  assertEquals(world.codes, []);
});

const WHO = { issuer: "https://login.example.com", clientId: "my-app" };

/** A store with a token of {@linkcode WHO}. */
function signedIn() {
  const backend = memory();
  const expires_at = "2099-01-01T00:00:00Z";
  const entry = {
    issuer: WHO.issuer,
    client_id: WHO.clientId,
    access_token: "access-1",
    expires_at,
  };
  backend.put(`${WHO.issuer}|${WHO.clientId}`, entry);
  return { credentialsBackend: backend };
}

withPermissions("no variable is needed where options say all", "none", async () => {
  const session = await createSession({ ...WHO, ...signedIn() });
  assertEquals((await session.status()).kind, "oidc");
  const key = await createSession({ apiKey: "k", apiSecret: "s" });
  assertEquals((await key.status()).kind, "api_key");
});

withPermissions("variables that are granted are used, and others are not asked for", {
  env: ["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID"],
}, async () => {
  using _ = new OwnEnv({
    VM_OIDC_ISSUER: WHO.issuer,
    VM_OIDC_CLIENT_ID: WHO.clientId,
    VM_OIDC_SCOPE: "openid more", // denied, so not read
    VM_API_KEY: "k",
    VM_API_SECRET: "s",
  });
  assertEquals((await (await createSession(signedIn())).status()).kind, "oidc");
});

withPermissions("an API key in the variables counts beside neither an issuer nor a client", {
  env: ["VM_OIDC_ISSUER", "VM_API_KEY"],
}, async () => {
  const choice = "(to choose the store";
  using _ = new OwnEnv({ VM_API_KEY: "k" });
  const ofClient = () => createSession({ clientId: WHO.clientId });
  await rejectsWith("permission_required", ofClient, choice);
  Deno.env.set("VM_OIDC_ISSUER", WHO.issuer);
  const needed = ["env VM_OIDC_CLIENT_ID (to read the options", choice];
  await rejectsWith("permission_required", () => createSession(), ...needed);
});

/** Of a call whose variables may not be read, and with them neither the hosts nor the files. */
const KINDS = " --allow-read --allow-write --allow-net --allow-env ";

withPermissions(
  "a variable that is needed is named, and the command has whole kinds",
  "none",
  async () => {
    const needed =
      "env VM_OIDC_ISSUER, VM_OIDC_CLIENT_ID (to read the options of the sign-in), env";
    await rejectsWith("permission_required", () => createSession({}), needed, KINDS);
    const choice = "VM_OIDC_CREDENTIALS_BACKEND (to choose the store of the tokens)";
    await rejectsWith("permission_required", () => createSession(WHO), choice, KINDS);
  },
);

withPermissions("the command has the flags of a store that the call names", "none", async () => {
  const needs = [{ name: "run", command: "pass" }] as const;
  const helper = Object.assign(memory(), { requiredPermissions: () => [...needs] });
  const ofHelper = () => createSession({ credentialsBackend: helper });
  await rejectsWith("permission_required", ofHelper, "--allow-env --allow-run=pass ");
  const ofKv = start({ credentialsBackend: new KvCredentialsBackend({ path: "/kv/tokens.db" }) });
  const flags = `--allow-read=/kv --allow-write=/kv ${HOSTS}`;
  const short = `deno test --unstable-kv -A ${SCRIPT}`;
  await rejectsWith("permission_required", ofKv, `deno test --unstable-kv ${flags}`, short);
});

withPermissions("the command has the flags of the default store", "none", async () => {
  setDefaultBackend(new KvCredentialsBackend({ path: "/kv/tokens.db" }));
  try {
    for (const call of [createSession, clearOidcCredentials]) {
      const words = ["deno test --unstable-kv --allow", "deno test --unstable-kv -A"];
      await rejectsWith("permission_required", () => call(), ...words);
    }
  } finally {
    setDefaultBackend(undefined);
  }
});

const terminalTest = testWith({ whyNot: whyWithout("terminal", hasTerminal) }, "preflight: ");

terminalTest("in a terminal nobody is asked for one permission after the other", async () => {
  const mod = new URL("../../../mod.ts", import.meta.url).href;
  const text = await runInTerminal(
    `import * as vm from ${JSON.stringify(mod)};
      const client = { issuer: "https://login.invalid", clientId: "c" };
      const calls = [
        () => vm.createSession(client),
        () => vm.clearOidcCredentials(client),
        () => vm.clearOidcCredentials(),
        () => vm.clearOidcCredentials({
          all: true,
          credentialsBackend: new vm.FileCredentialsBackend({ path: "/kept/credentials.json" }),
        }),
        () => vm.requiredPermissions(client),
        () => vm.resolveCredentialsBackend(),
        () => vm.credentialsPath(),
      ];
      for (const call of calls) {
        await Promise.try(call).catch(({ code, message }) => console.log("code:", code, message));
      }`,
    [],
  );
  assertEquals(text.includes("Deno requests"), false, text);
  const [, first, second, ...others] = text.split("code: permission_required");
  assertEquals(others.length, 5, text);
  for (const name of ["VM_OIDC_NO_PERSIST", "VM_OIDC_CREDENTIALS_BACKEND", KINDS]) {
    for (const message of [first!, second!]) assertStringIncludes(message, name);
  }
});

terminalTest("in a terminal a helper asks for no permission to write its marks", async () => {
  const helper = new URL("../../../backends/helper.ts", import.meta.url).href;
  const text = await runInTerminal(
    `import { HelperCredentialsBackend } from ${JSON.stringify(helper)};
      const backend = new HelperCredentialsBackend({ program: "/bin/true" });
      const entry = { issuer: "i", client_id: "c", access_token: "t" };
      await backend.put("k", entry).catch(({ code }) => console.log(code));`,
    [],
    ["--allow-run", "--allow-read", "--allow-env"],
  );
  assertEquals(text, "backend_unproven\n"); // it stores nothing
});
