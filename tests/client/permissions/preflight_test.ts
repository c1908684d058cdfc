import { assertEquals, assertStringIncludes } from "@std/assert";
import { startScriptedProvider } from "../../support/scripted_provider.ts";
import { runDeno } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";
import { hasTerminal, runInTerminal } from "../../support/terminal.ts";

const url = (file: string) => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href);
const IMPORTS = `
  import * as vm from ${url("mod.ts")};
  import { preflight } from ${url("client/permissions/preflight.ts")};
  const tell = (error) => console.log(JSON.stringify([error.name, error.code, error.message]));
`;

interface Options {
  flags?: string[];
  env?: Record<string, string>;
}

/** Runs `body` in a child with these flags; gives what it told last. */
async function child(body: string, options: Options = {}): Promise<[string, string, string]> {
  const code = `${IMPORTS}\ntry { ${body} } catch (error) { tell(error); }`;
  const { stdout, stderr } = await runDeno({ code, ...options });
  assertEquals(stderr, "");
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

const NEEDS = `[
  { name: "net", host: "a.example.com:443", reason: "to call", need: "always" },
  { name: "net", host: "b.example.com:443", reason: "to sign in", need: "sign_in" },
  { name: "env", variable: "A", reason: "to know", need: "optional" },
]`;

Deno.test("preflight: what is missing is told with its reason, and the flags for all", async () => {
  const [name, code, message] = await child(`preflight("test", ${NEEDS}, "always");`);
  assertEquals([name, code], ["ValidMindAuthError", "permission_required"]);
  const [first, flags, or, ...set] = message.split("\n");
  assertEquals(
    first,
    "Cannot test: Deno does not permit net a.example.com:443 (to call). Run with",
  );
  assertEquals(flags, "  --allow-net=a.example.com:443,b.example.com:443"); // not the optional one
  assertEquals(or, "or put this into deno.json and run with -P=validmind:");
  assertEquals(JSON.parse(set.join("\n")), {
    permissions: { validmind: { net: ["a.example.com:443", "b.example.com:443"] } },
  });
});

Deno.test("preflight: only what is needed now has to be granted", async () => {
  const body = (now: string) => `preflight("test", ${NEEDS}, "${now}"); console.log('["done"]');`;
  const flags = ["--allow-net=a.example.com:443"];
  assertEquals(await child(body("always"), { flags }) as unknown, ["done"]);
  const [, , message] = await child(body("sign_in"), { flags });
  assertStringIncludes(message, "does not permit net b.example.com:443 (to sign in). Run with\n");
  assertStringIncludes(message, "--allow-net=a.example.com:443,b.example.com:443\n");
  for (const wide of ["-A", "--allow-net"]) {
    assertEquals(await child(body("sign_in"), { flags: [wide] }) as unknown, ["done"]);
  }
});

Deno.test("preflight: a path with a comma leaves the permission set as the way out", async () => {
  const need = `[{ name: "read", path: "/a,b", reason: "to read", need: "always" }]`;
  const [, code, message] = await child(`preflight("test", ${need}, "always");`);
  assertEquals([code, message.includes("--allow-read=/a")], ["permission_required", false]);
  assertStringIncludes(message, "has a comma");
  assertStringIncludes(message, '"/a,b"');
});

Deno.test("preflight: nothing is touched before the permissions are sure", async () => {
  await using provider = await startScriptedProvider();
  await using dir = await tempDir();
  const { host } = new URL(provider.issuer);
  const body = (change: string) => `
    const calls = [];
    const spy = { get() { calls.push("get"); }, put() { calls.push("put"); },
      delete() { calls.push("delete"); },
      requiredPermissions: () => [{ name: "read", path: ${JSON.stringify(dir.path)} },
        { name: "write", path: ${JSON.stringify(dir.path)}, need: "sign_in" }] };
    const options = { issuer: ${JSON.stringify(provider.issuer)}, clientId: "c", scope: "openid",
      apiHost: "https://api.example.com/", credentialsBackend: spy,
      onDeviceCode: () => calls.push("prompt"), ${change} };
    try { await vm.createSession(options); }
    catch (error) { console.log(JSON.stringify([error.code, error.message, calls])); }
  `;
  const all = [`read ${dir.path} (to find the stored tokens)`, "net api.example.com:443 (to call"];
  const [code, message, calls] = await child(body("")) as unknown as [string, string, string[]];
  assertEquals([code, calls], ["permission_required", []]);
  for (const part of all) assertStringIncludes(message, part);
  for (const part of [host, `--allow-read=${dir.path}`, `--allow-write=${dir.path}`]) {
    assertStringIncludes(message, part); // what a sign-in will need is in the flags already
  }
  // With what is always needed the store is looked at, and the sign-in is refused before it begins.
  const flags = [`--allow-read=${dir.path}`, "--allow-net=api.example.com:443"];
  const [later, why, made] = await child(body(""), { flags }) as unknown as [
    string,
    string,
    string[],
  ];
  assertEquals([later, made], ["permission_required", ["get"]], why);
  assertStringIncludes(why, `net ${host} (to sign in at the provider)`);
  assertStringIncludes(why, `write ${dir.path} (to keep the tokens)`);
  assertEquals(provider.requests, []);
});

Deno.test("preflight: the flags are in the order of requiredPermissions", async () => {
  const body = `
    const credentialsBackend = Object.assign(new vm.MemoryCredentialsBackend(), {
      requiredPermissions: () => [{ name: "net", host: "vault.example.com:8200" }] });
    const options = { issuer: "https://login.example.com", clientId: "c", model: "m",
      apiHost: "https://api.example.com/", credentialsBackend };
    const needs = (await vm.requiredPermissions(options)).filter(({ need }) => need !== "optional");
    try { await vm.init(options); } catch ({ message }) {
      console.log(JSON.stringify([vm.formatPermissionFlags(needs), message]));
    }
  `;
  const [flags, message] = await child(body);
  const hosts = "api.example.com:443,login.example.com:443,vault.example.com:8200";
  assertEquals(flags, `--allow-net=${hosts}`);
  assertStringIncludes(message, `Run with\n  --allow-net=${hosts}\n`);
});

Deno.test("preflight: a backend that declares nothing runs with what the rest needs", async () => {
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  const body = `
    const rows = new Map();
    const credentialsBackend = { get: (key) => rows.get(key), put: (key, entry) => void rows.set(key, entry),
      delete: (key) => void rows.delete(key) };
    await vm.createSession({ issuer: ${JSON.stringify(provider.issuer)}, clientId: ${
    JSON.stringify(provider.clientId)
  }, credentialsBackend, onDeviceCode() {}, delay: () => Promise.resolve() });
    console.log(JSON.stringify([rows.size]));
  `;
  const flags = [`--allow-net=${new URL(provider.issuer).host}`];
  assertEquals(await child(body, { flags }) as unknown, [1]);
});

Deno.test("preflight: nonsense that a backend declares names its class", async () => {
  for (
    const nonsense of [
      '"read"',
      "null",
      '{ name: "reed" }',
      '{ name: "net", host: 5 }',
      '{ name: "net", host: "::::" }',
    ]
  ) {
    const body = `
      class TeamStore extends vm.MemoryCredentialsBackend {
        requiredPermissions() { return [${nonsense}]; }
      }
      await vm.createSession({ issuer: "https://login.example.com", clientId: "c",
        credentialsBackend: new TeamStore() });
    `;
    const [name, code, message] = await child(body);
    assertEquals([name, code], ["CredentialsBackendError", "invalid_permissions"]);
    assertStringIncludes(message, "TeamStore");
  }
});

Deno.test("preflight: an API key needs its host, and no other", async () => {
  const body = `await vm.init({ apiKey: "k", apiSecret: "s", model: "m",
    apiHost: "https://api.example.com/" });`;
  const [, code, message] = await child(body);
  assertEquals(code, "permission_required");
  assertStringIncludes(message, "net api.example.com:443 (to call the API). Run with");
  assertEquals(/login|read|write/.test(message), false);
});

Deno.test({
  name: "preflight: in a terminal nobody is asked for one permission after the other",
  ignore: !hasTerminal,
  async fn() {
    const text = await runInTerminal(
      `${IMPORTS}
      try {
        await vm.createSession({ issuer: "https://login.invalid", clientId: "c" });
      } catch (error) { console.log("code:", error.code, error.message); }`,
      [],
    );
    assertEquals(text.includes("Deno requests"), false, text);
    assertStringIncludes(text, "code: permission_required");
    for (const name of ["VM_OIDC_NO_PERSIST", "HOME"]) assertStringIncludes(text, name);
  },
});
