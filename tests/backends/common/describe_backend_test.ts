import { assertEquals } from "@std/assert";
import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { SpyBackend } from "../../support/spy_backend.ts";

Deno.test("describeBackend: the class, and where it keeps things", () => {
  assertEquals(describeBackend(new SpyBackend()), "SpyBackend");
  assertEquals(
    describeBackend(new MemoryCredentialsBackend()),
    "MemoryCredentialsBackend (the memory of this process)",
  );
  const bare: OidcCredentialsBackend = Object.assign(Object.create(null), new SpyBackend());
  assertEquals(describeBackend(bare), "the credentials backend");
});

Deno.test("describeBackend: a place that cannot be read is left out of another error", () => {
  const backend = Object.defineProperty(new SpyBackend(), "location", {
    get: () => {
      throw new Error("not ready");
    },
  });
  assertEquals(describeBackend(backend), "SpyBackend");
});
