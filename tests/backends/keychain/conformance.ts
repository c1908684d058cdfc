// The conformance suite for the keychain, for a `deno test` within a desktop session.
import { KeychainCredentialsBackend } from "../../../backends/keychain.ts";
import { testCredentialsBackend } from "../../../backends/testing.ts";

const needs = new KeychainCredentialsBackend().requiredPermissions();
const paths = (kind: string) =>
  needs.flatMap((need) => need.name === kind && "path" in need ? [String(need.path)] : []);

testCredentialsBackend("keychain", () => new KeychainCredentialsBackend(), {
  processes: {
    module: new URL("../../../backends/keychain.ts", import.meta.url).href,
    exportName: "KeychainCredentialsBackend",
  },
  broken: () => new KeychainCredentialsBackend({ timeoutMs: 0 }),
  permissions: {
    ffi: paths("ffi"),
    read: paths("read"),
    write: paths("write"),
    env: needs.flatMap((need) => need.name === "env" && need.variable ? [need.variable] : []),
  },
});
