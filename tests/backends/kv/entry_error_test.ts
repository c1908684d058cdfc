import { assert, assertEquals } from "@std/assert";
import type { CredentialsBackendErrorCode } from "../../../backends/credentials_backend_error.ts";
import { kvError } from "../../../backends/kv/entry.ts";

const permissions = "none";
const PATH = "/data/kv.db";
const URL_PATH = "https://kv.example.com:8443/some/where?token=hidden";

const KINDS: [path: string, error: unknown, code: CredentialsBackendErrorCode, part: string][] = [
  [PATH, new TypeError("database is locked"), "backend_locked", "keeps writing"],
  [PATH, new TypeError("database table is locked"), "backend_locked", "keeps writing"],
  [PATH, new Error("file is not a database"), "backend_corrupt", PATH],
  [PATH, new Error("database disk image is malformed"), "backend_corrupt", PATH],
  [PATH, new TypeError("Value too large (max 65536 bytes)"), "backend_too_large", "64 KiB"],
  [PATH, new Deno.errors.NotCapable("x"), "permission_required", "--allow-read=/data"],
  [PATH, new Deno.errors.PermissionDenied("x"), "backend_denied", PATH],
  [PATH, new Error("other"), "backend_unavailable", PATH],
  [PATH, new TypeError("database or disk is full"), "backend_full", PATH],
  [PATH, new Error("Disk quota exceeded (os error 122): open 'x'"), "backend_full", PATH],
  [
    URL_PATH,
    new Deno.errors.NotCapable("x"),
    "permission_required",
    "--allow-net=kv.example.com:8443",
  ],
  [URL_PATH, new TypeError("Connection refused"), "backend_unavailable", "kv.example.com:8443"],
  [URL_PATH, new Error("status 503"), "backend_unavailable", "status 503"],
  [URL_PATH, "text", "backend_unavailable", "unknown error"],
  ["https://[", new Error("other"), "backend_unavailable", "https://["],
];

for (const [path, cause, code, part] of KINDS) {
  Deno.test(`kvError tells ${code} of ${path.split("?")[0]} by ${part}`, { permissions }, () => {
    const error = kvError("read", path, cause);
    assertEquals(error.code, code);
    assert(error.message.startsWith("Cannot ") && error.message.includes(part), error.message);
    assertEquals(error.message.includes("hidden"), false);
  });
}
