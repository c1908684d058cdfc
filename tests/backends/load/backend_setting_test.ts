import { assertEquals } from "@std/assert";
import { isPathSpecifier, parseBackendSpec } from "../../../backends/load/backend_setting.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const permissions = "none";
const ORIGIN = "VM_OIDC_CREDENTIALS_BACKEND";
const parse = (text: string) => parseBackendSpec(text, ORIGIN);

Deno.test("parseBackendSpec knows the built-in names, exactly", { permissions }, async () => {
  for (const name of ["file", "memory", "kv"] as const) {
    assertEquals(parse(name), { kind: "built-in", name });
    assertEquals(parse(`\t${name} \n`), { kind: "built-in", name });
    await rejectsWith("backend_spec_invalid", () => parse(name.toUpperCase()));
  }
  for (const name of ["toString", "constructor", "__proto__", "files", "null"]) {
    await rejectsWith("backend_spec_invalid", () => parse(name), name, "file, memory, kv");
  }
});

const MODULES: Record<string, [specifier: string, exportName: string]> = {
  "./backend.ts:Backend": ["./backend.ts", "Backend"],
  "../up/backend.ts#Backend": ["../up/backend.ts", "Backend"],
  "/srv/backend.ts:default": ["/srv/backend.ts", "default"],
  "C:\\srv\\backend.ts:Backend": ["C:\\srv\\backend.ts", "Backend"],
  "c:/srv/backend.ts:Backend": ["c:/srv/backend.ts", "Backend"],
  ".\\backend.ts:Backend": [".\\backend.ts", "Backend"],
  "\\\\host\\share\\b.ts:Backend": ["\\\\host\\share\\b.ts", "Backend"],
  "./odd:na#me.ts:Backend": ["./odd:na#me.ts", "Backend"],
  "./odd:na#me.ts#Backend": ["./odd:na#me.ts", "Backend"],
  "file:///srv/b.ts:Backend": ["file:///srv/b.ts", "Backend"],
  "file:///srv/b.ts#Backend": ["file:///srv/b.ts", "Backend"],
  "jsr:@acme/vault:VaultBackend": ["jsr:@acme/vault", "VaultBackend"],
  "jsr:@acme/vault@^1.2/sub#VaultBackend": ["jsr:@acme/vault@^1.2/sub", "VaultBackend"],
  "npm:acme-vault@1:VaultBackend": ["npm:acme-vault@1", "VaultBackend"],
  "npm:@acme/vault:VaultBackend": ["npm:@acme/vault", "VaultBackend"],
  "node:acme:Backend": ["node:acme", "Backend"],
  "data:text/javascript,export class B{}:B": ["data:text/javascript,export class B{}", "B"],
  "./b.ts:$_größe1": ["./b.ts", "$_größe1"],
  " ./b.ts:Backend ": ["./b.ts", "Backend"],
};

for (const [spec, [specifier, exportName]] of Object.entries(MODULES)) {
  Deno.test(
    `parseBackendSpec splits ${spec}`,
    { permissions },
    () => assertEquals(parse(spec), { kind: "module", specifier, exportName }),
  );
}

const MALFORMED: Record<string, string> = {
  "": "neither a built-in name",
  "   ": "neither a built-in name",
  ":": "neither a built-in name",
  ":Backend": "neither a built-in name",
  "./backend.ts": "neither a built-in name",
  "./backend.ts:": "neither a built-in name",
  "./backend.ts:1Backend": "neither a built-in name",
  "./backend.ts:Back end": "neither a built-in name",
  "./backend.ts:Back.end": "neither a built-in name",
  "jsr:@acme/vault": "neither a built-in name",
  "npm:@acme/vault@1.0.0": "neither a built-in name",
  "acme-vault:VaultBackend": "a bare name",
  "acme_vault.ts:VaultBackend": "a bare name",
  "@acme/vault:VaultBackend": "a bare name",
  "npm:acme": "a bare name",
  "jsr::Backend": "a bare name",
  "~/backend.ts:Backend": "a bare name",
  "blob:x:Backend": "a bare name",
};

for (const [spec, reason] of Object.entries(MALFORMED)) {
  Deno.test(`parseBackendSpec refuses ${JSON.stringify(spec)}`, { permissions }, async () => {
    const words = [
      ORIGIN,
      spec.trim(),
      reason,
      "./my_backend.ts:MyBackend",
    ];
    await rejectsWith("backend_spec_invalid", () => parse(spec), ...words);
  });
}

for (
  const spec of [
    "https://example.com/b.ts:Backend",
    "http://localhost:8000/b.ts#Backend",
    "HTTPS://example.com/b.ts:Backend",
    "https::Backend",
    "http://:Backend",
  ]
) {
  Deno.test(
    `parseBackendSpec refuses ${spec} and says what does instead`,
    { permissions },
    async () => {
      const words = ["jsr:, npm: or file:", "setDefaultBackend("];
      await rejectsWith("backend_import_unsupported", () => parse(spec), spec, ...words);
    },
  );
}

Deno.test("isPathSpecifier tells paths from addresses and names", { permissions }, () => {
  const paths = ["./a", "../a", "/a", ".\\a", "\\a", "C:\\a", "C:/a"];
  const others = ["a", "a/b", ".a", "...", "jsr:@a/b", "file:///a", "~/a", "CC:/a", ""];
  assertEquals(paths.filter((path) => !isPathSpecifier(path)), []);
  assertEquals(others.filter(isPathSpecifier), []);
});

const PYTHON = [
  "acme_vault:VaultBackend",
  "acme.credentials.vault:VaultBackend",
  "_acme.v2:Vault_2",
  " größe.ablage:Ablage ",
];

for (const spec of PYTHON) {
  Deno.test(
    `parseBackendSpec tells the Python library's form apart: ${spec}`,
    { permissions },
    async () => {
      await rejectsWith(
        "backend_spec_invalid",
        () => parseBackendSpec(spec, ORIGIN),
        `Cannot use ${ORIGIN}="${spec.trim()}"`,
        "a class for the Python library",
        "VM_OIDC_DENO_CREDENTIALS_BACKEND, which wins here",
      );
      const fn = () => parseBackendSpec(spec, "VM_OIDC_DENO_CREDENTIALS_BACKEND");
      await rejectsWith("backend_spec_invalid", fn, "is a bare name");
    },
  );
}
