import { assertEquals } from "@std/assert";
import { describeBackend, locationOf } from "../../../backends/common/describe_backend.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
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

Deno.test("a place that is no text is left out, and makes no other error", async () => {
  const url = new URL("https://store.example.com");
  const make = () => Object.assign(new SpyBackend(), { location: url as unknown as string });
  assertEquals([locationOf(make()), describeBackend(make())], [undefined, "SpyBackend"]);
  const full = make();
  full.before = (method) => {
    if (method === "get") {
      throw new CredentialsBackendError("backend_timeout", "Cannot read: away.");
    }
  };
  const events: string[] = [];
  const fallback = new FallbackCredentialsBackend({
    backends: [full, new MemoryCredentialsBackend()],
    onFallback: ({ missed }) => events.push(missed),
  });
  await fallback.put(KEY, entry());
  assertEquals(await fallback.get(KEY), entry());
  assertEquals([events, fallback.location], [["SpyBackend"], "the memory of this process"]);
  const plain = make();
  await plain.put(KEY, entry());
  const encrypted = new EncryptedCredentialsBackend({
    backend: plain,
    key: crypto.getRandomValues(new Uint8Array(32)),
  });
  assertEquals(encrypted.location, undefined);
  await rejectsWith("decryption_failed", () => encrypted.get(KEY), "from the inner backend");
});
