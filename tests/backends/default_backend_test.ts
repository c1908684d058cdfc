import { assertEquals, assertStrictEquals } from "@std/assert";
import { getDefaultBackend, setDefaultBackend } from "../../backends/default_backend.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { throwsWith } from "./rejects_with.ts";

Deno.test({
  name: "setDefaultBackend sets what getDefaultBackend gives, and undefined takes it back",
  permissions: "none",
  fn() {
    assertEquals(getDefaultBackend(), undefined);
    try {
      const backend = new MemoryCredentialsBackend();
      setDefaultBackend(backend);
      assertStrictEquals(getDefaultBackend(), backend);
      setDefaultBackend(undefined);
      assertEquals(getDefaultBackend(), undefined);
    } finally {
      setDefaultBackend(undefined);
    }
  },
});

Deno.test({
  name: "setDefaultBackend refuses what is no backend, and keeps the one that is set",
  permissions: "none",
  fn() {
    const backend = new MemoryCredentialsBackend();
    setDefaultBackend(backend);
    try {
      for (const wrong of [null, {}, "memory", MemoryCredentialsBackend]) {
        const set = () => setDefaultBackend(wrong as unknown as OidcCredentialsBackend);
        throwsWith("invalid_backend", set, "Cannot use the default as a credentials backend");
      }
      assertStrictEquals(getDefaultBackend(), backend);
    } finally {
      setDefaultBackend(undefined);
    }
  },
});
