import { assertEquals, assertStringIncludes } from "@std/assert";
import { HOME_VARIABLE } from "../../../backends/common/platform.ts";
import { runDeno } from "../../support/deno_process.ts";

const MOD = new URL("../../../mod.ts", import.meta.url).href;
const ENTRY = {
  issuer: "https://login.example.com",
  client_id: "my-app",
  access_token: "access-1",
  expires_at: "2099-01-01T00:00:00Z",
};
const OIDC = `issuer: "https://login.example.com", clientId: "my-app"`;

/** Signs in from a stored token in a child that is granted `flags`; gives what became of it. */
async function signIn(options: string, flags: string[] = [], env: Record<string, string> = {}) {
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const backend = new vm.MemoryCredentialsBackend();
    backend.put("https://login.example.com|my-app", ${JSON.stringify(ENTRY)});
    try {
      const session = await vm.createSession({ ${options} });
      console.log(JSON.stringify((await session.status()).kind));
    } catch (error) {
      console.log(JSON.stringify([error.name, error.code, error.message]));
    }
  `;
  const { stdout, stderr } = await runDeno({ code, flags, env });
  assertEquals(stderr, "");
  return JSON.parse(stdout);
}

Deno.test("denied variables: none is needed when options say all", async () => {
  assertEquals(await signIn(`${OIDC}, credentialsBackend: backend`), "oidc");
  assertEquals(await signIn(`apiKey: "k", apiSecret: "s"`), "api_key");
});

Deno.test("denied variables: what is granted is used, what is not is not asked for", async () => {
  const flags = ["--allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID"];
  const env = {
    VM_OIDC_ISSUER: "https://login.example.com",
    VM_OIDC_CLIENT_ID: "my-app",
    VM_OIDC_SCOPE: "openid more", // denied, so not read
    VM_API_KEY: "k",
    VM_API_SECRET: "s",
  };
  assertEquals(await signIn("credentialsBackend: backend", flags, env), "oidc");
});

const CHOICE = "VM_OIDC_NO_PERSIST,VM_OIDC_DENO_CREDENTIALS_BACKEND,VM_OIDC_CREDENTIALS_BACKEND";
const NEEDED: [options: string, ...words: string[]][] = [
  [
    "",
    "env VM_OIDC_ISSUER, env VM_OIDC_CLIENT_ID (to know who signs in, and for what), env",
    "\n  --allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID,",
  ],
  [OIDC, "VM_OIDC_CREDENTIALS_BACKEND (to choose where tokens are kept)"], // it must not be missed
];

Deno.test("denied variables: a needed one is named with its flag, and all that are read before a host is known", async () => {
  for (const [options, ...words] of NEEDED) {
    const [name, code, message] = await signIn(options);
    assertEquals([name, code], ["ValidMindAuthError [permission_required]", "permission_required"]);
    for (const word of [...words, `${CHOICE},${HOME_VARIABLE}\n`]) {
      assertStringIncludes(message, word);
    }
  }
});
