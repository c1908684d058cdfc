import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { variablesIn } from "../../../backends/common/environment.ts";
import { isPathSpecifier } from "../../../backends/common/paths.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import {
  BUILT_IN_BACKENDS,
  BUILT_IN_NAMES,
  parseBackendKwargs,
  parseBackendSpec,
} from "../../../backends/load/create_backend.ts";
import { showSpec } from "../../../backends/load/import_backend.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { entry, KEY, SECRETS } from "../../support/entries.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";
import { testKey } from "../encrypted/encryption_keys.ts";
import { load } from "./load_from_env.ts";

const ORIGIN = "VM_OIDC_CREDENTIALS_BACKEND";
const NAME = "VM_OIDC_CREDENTIALS_BACKEND_KWARGS";
const permissions = { env: ["VM_TEST_A", "VM_TEST_B", NAME] };

const test = testWith({ permissions });
const parse = (text: string) => parseBackendSpec(text, ORIGIN);

Deno.test("a built-in name leads to its class, exactly", async () => {
  for (const name of BUILT_IN_NAMES) {
    assertEquals(parse(`\t${name} \n`), { name });
    await rejectsWith("backend_spec_invalid", () => parse(name.toUpperCase()));
    const { prototype } = await BUILT_IN_BACKENDS[name]!();
    for (const method of ["get", "put", "delete"] as const) {
      assert(typeof prototype[method] === "function", `${name}.${method}`);
    }
  }
  for (const name of ["toString", "constructor", "__proto__", "files", "null"]) {
    await rejectsWith("backend_spec_invalid", () => parse(name), name, "file, memory, kv");
  }
});

const MODULES: [spec: string, specifier: string, exportName: string][] = [
  ["../up/backend.ts#Backend", "../up/backend.ts", "Backend"],
  ["/srv/backend.ts:default", "/srv/backend.ts", "default"],
  ["./odd:na#me.ts:Backend", "./odd:na#me.ts", "Backend"],
  ["./odd:na#me.ts#Backend", "./odd:na#me.ts", "Backend"],
  ["file:///srv/b.ts#Backend", "file:///srv/b.ts", "Backend"],
  ["jsr:@acme/vault:VaultBackend", "jsr:@acme/vault", "VaultBackend"],
  ["jsr:@acme/vault@^1.2/sub#VaultBackend", "jsr:@acme/vault@^1.2/sub", "VaultBackend"],
  ["npm:@acme/vault:VaultBackend", "npm:@acme/vault", "VaultBackend"],
  ["node:acme:Backend", "node:acme", "Backend"],
  ["data:text/javascript,export class B{}:B", "data:text/javascript,export class B{}", "B"],
  [" ./b.ts:$_größe1 ", "./b.ts", "$_größe1"],
];

if (Deno.build.os === "windows") {
  MODULES.push(["C:\\srv\\backend.ts:Backend", "C:\\srv\\backend.ts", "Backend"]);
}

Deno.test("a module's name is split at its last colon or hash", { permissions: "none" }, () => {
  for (const [spec, specifier, exportName] of MODULES) {
    assertEquals(parse(spec), { specifier, exportName }, spec);
  }
});

const NEITHER = ["", "   ", ":", ":Backend", "./backend.ts", "./backend.ts:", "./backend.ts:1Back"];
NEITHER.push("./b.ts:Back end", "./b.ts:Back.end", "jsr:@acme/vault", "npm:@acme/vault@1.0.0");
const BARE = ["acme-vault:VaultBackend", "acme_vault.ts:VaultBackend", "@acme/vault:VaultBackend"];
BARE.push("npm:acme", "jsr::Backend", "~/backend.ts:Backend", "blob:x:Backend");
const REMOTE = ["https://example.com/b.ts:Backend", "http://localhost:8000/b.ts#Backend"];
REMOTE.push("HTTPS://example.com/b.ts:Backend", "https::Backend", "http://:Backend");
const PYTHON = ["acme_vault:VaultBackend", "acme.credentials.vault:VaultBackend"];
PYTHON.push("_acme.v2:Vault_2", " größe.ablage:Ablage ");

test("what names no module is refused, with its reason and what does instead", async () => {
  const invalid = async (spec: string, ...words: string[]) => {
    const all = [ORIGIN, spec.trim(), ...words];
    await rejectsWith("backend_spec_invalid", () => parse(spec), ...all);
  };
  for (const spec of NEITHER) await invalid(spec, "neither a built-in name", "./my_backend.ts:My");
  for (const spec of [...BARE, ...PYTHON, ...REMOTE]) {
    const own = "VM_OIDC_DENO_CREDENTIALS_BACKEND";
    const python = ["a class for the Python library", own];
    const words = [spec.trim(), "jsr:, npm: or file:", "setDefaultBackend(", "./my_backend.ts:My"];
    const code = "backend_import_unsupported";
    await rejectsWith(code, () => parse(spec), ORIGIN, ...words, ...python);
    const { message } = await rejectsWith(code, () => parseBackendSpec(spec, own), ...words);
    assertEquals(message.includes("Python"), false);
  }
  const paths = ["./a", "../a", "/a", ".\\a"];
  const others = ["a", "a/b", ".a", "...", "jsr:@a/b", "file:///a", "~/a", "CC:/a", ""];
  assertEquals([...paths, ...others].filter(isPathSpecifier), paths);
});

function read(text: string, env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  return withEnv(env, () => parseBackendKwargs(text, NAME));
}

test("KWARGS keep every kind of JSON value", async () => {
  const list = [1, ["2"], {}];
  const value = { s: "text", n: -1.5e3, t: true, z: null, list, o: { deep: "x" } };
  assertEquals([await read(JSON.stringify(value)), await read(" {} ")], [value, {}]);
  const odd = await read('{"__proto__": {"polluted": 1}, "constructor": "c"}');
  assertEquals(Object.getOwnPropertyNames(odd), ["__proto__", "constructor"]);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

test("a ${NAME} is put in wherever a string stands, and only once", async () => {
  const env = { VM_TEST_A: "ana", VM_TEST_B: "${VM_TEST_A}$&" };
  const value = {
    path: "/home/${VM_TEST_A}/x/${VM_TEST_A}",
    deep: [{ list: ["${VM_TEST_A}", 1] }],
    "${VM_TEST_A}": "$VM_TEST_A $ { $$ $}",
    again: "${VM_TEST_B}",
  };
  assertEquals(await read(JSON.stringify(value), env), {
    path: "/home/ana/x/ana",
    deep: [{ list: ["ana", 1] }],
    "${VM_TEST_A}": "$VM_TEST_A $ { $$ $}",
    again: "${VM_TEST_A}$&",
  });
  assertEquals(variablesIn(JSON.stringify(value)), ["VM_TEST_A", "VM_TEST_B"]);
  assertEquals(variablesIn('{"a": "${}${1A}${A-B}$A", "b": "${A}"}'), ["A"]);
});

test("KWARGS that are no JSON object are refused without being shown", async () => {
  const secret = SECRETS.access;
  const texts = [`{"token": "${secret}"`, `{"token": "${secret}"}}`, `{'token': '${secret}'}`];
  texts.push(`{"token": ${secret}}`, secret, `["${secret}"]`, `"${secret}"`, "null", "7", "   ");
  const home = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";
  const words = [NAME, `{"path": "\${${home}}/credentials.json"}`];
  for (const text of texts) {
    const { cause } = await rejectsWith("backend_kwargs_invalid", () => read(text), ...words);
    assertEquals(cause, undefined);
  }
});

test("a variable in KWARGS that is no name, unset, empty or denied is an error, and not shown", async () => {
  const text = (name: string) => JSON.stringify({ auth: [`${SECRETS.access}\${${name}}`] });
  for (const name of ["", " ", "1A", "A-B", "A B", "A=B", "$", `p${SECRETS.extra}!`, "größe"]) {
    const words = "does not name a variable";
    await rejectsWith("backend_kwargs_invalid", () => read(text(name)), words);
  }
  const unset = text("VM_TEST_A");
  await rejectsWith("env_unset", () => read(unset), NAME, "VM_TEST_A");
  await rejectsWith("env_unset", () => read(unset, { VM_TEST_A: "" }), NAME, "VM_TEST_A");
  const denied = () => read(text("NOT_OURS"));
  await rejectsWith("permission_required", denied, "--allow-env=NOT_OURS");
});

const { folder } = sandbox();
const TEST_KEY = (await testKey()).toBase64();

const file = (path: unknown) => ({ name: "file", options: { path } });

Deno.test("the environment names an encrypted file, its key in a variable", async () => {
  const path = `${folder()}/credentials.json`;
  const kwargs = { backend: file("${TEST_FOLDER}/credentials.json"), key: { env: "TEST_KEY" } };
  const more = { TEST_FOLDER: path.replace("/credentials.json", "") };
  const backend = await load("encrypted", kwargs, more);
  assertInstanceOf(backend, EncryptedCredentialsBackend);
  assertEquals(backend.location, `${path}, encrypted`);
  await withEnv({ TEST_KEY }, () => backend.put(KEY, entry()));
  assertNoSecret(await Deno.readTextFile(path));
  const other = new EncryptedCredentialsBackend({
    backend: new FileCredentialsBackend({ path }),
    key: await testKey(),
  });
  assertEquals(await other.get(KEY), entry());
});

Deno.test("a nested backend may be a bare name, and keys be in further backends", async () => {
  const parent = folder();
  const backend = await load("encrypted", {
    backend: "memory",
    key: { backend: file(`${parent}/keys.json`) },
    olderKeys: [{ passphrase: "correct horse battery staple" }, {
      backend: file(`${parent}/older.json`),
    }],
    plain: "ignore",
  });
  await backend!.put(KEY, entry());
  assertEquals(await backend!.get(KEY), entry());
  const keys = new FileCredentialsBackend({ path: `${parent}/keys.json` });
  assertEquals((await Array.fromAsync(keys.list())).length, 1);
});

Deno.test("the environment names a fallback, with an encrypted file as its last", async () => {
  const path = `${folder()}/credentials.json`;
  const sealed = { backend: file(path), key: { env: "TEST_KEY" } };
  const backend = await load("fallback", {
    backends: ["memory", { name: "encrypted", options: sealed }],
  });
  assertInstanceOf(backend, FallbackCredentialsBackend);
  assertEquals(backend.location, `the memory of this process, else ${path}, encrypted`);
});

Deno.test("a nested backend may be a third party's module", async () => {
  const path = `${folder()}/store.js`;
  const code = "export class Store { constructor({ location }) { this.location = location; } ";
  await Deno.writeTextFile(path, `${code} get() {} put() {} delete() {} }`);
  const name = `${path}:Store`;
  const backend = await load("encrypted", {
    backend: { name, options: { location: "the team's store" } },
    key: { env: "TEST_KEY" },
  });
  assertEquals(backend?.location, "the team's store, encrypted");
  assertEquals(backend?.list, undefined);
});

const misplaced = { name: "file", path: "/x" };
const FAULTS: [name: string, kwargs: unknown, code: string, words: string][] = [
  ["encrypted", { key: { env: "TEST_KEY" } }, "backend_kwargs_invalid", "needs backend."],
  ["fallback", { backends: ["memory", "vault"] }, "backend_kwargs_invalid", "backends[1].options"],
  ["encrypted", { backend: "memroy" }, "backend_spec_invalid", "KWARGS.backend"],
  ["encrypted", { backend: 7 }, "backend_kwargs_invalid", '"backend"'],
  ["encrypted", { backend: misplaced }, "backend_kwargs_invalid", '"options"'],
  ["encrypted", { backend: "memory", key: { backend: null } }, "backend_kwargs_invalid", "key.b"],
  ["fallback", {}, "backend_kwargs_invalid", '"backends"'],
  ["fallback", { backends: "file" }, "invalid_options", '"backends"'],
  ["fallback", { backends: ["memory", "http://x/y.ts:Z"] }, "backend_import_unsupported", "ds[1]"],
  // No list of stores: the settings file may not name a module, and is searched for "backends".
  ["fallback", { "a.backends": ["/x.ts:X"], backends: ["file"] }, "invalid_options", "a.backends"],
];

for (const [name, kwargs, code, words] of FAULTS) {
  Deno.test(`${name} from the environment with ${JSON.stringify(kwargs)} is ${code}`, async () => {
    await rejectsWith(code as "invalid_options", () => load(name, kwargs), words);
  });
}

Deno.test("a module's address is shown without its query, however long that is", () => {
  assertEquals(showSpec(`x?${"q".repeat(1000)} tail`), "x?…");
});
