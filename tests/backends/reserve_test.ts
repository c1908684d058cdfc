// The reservation of a place through backends that keep entries in other backends.
import { assert, assertEquals } from "@std/assert";
import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { testKey } from "./encrypted/encryption_keys.ts";
import { rejectsWith } from "../support/rejects_with.ts";

/** A memory backend that notes reservations, and refuses them where it is full. */
class RoomBackend extends MemoryCredentialsBackend {
  readonly reserved: { key: string; bytes: number }[] = [];
  freed = 0;
  isFull = false;

  reserve(key: string, bytes: number): Promise<AsyncDisposable> {
    if (this.isFull) {
      throw new CredentialsBackendError("backend_full", "Cannot write: full. Free it.");
    }
    this.reserved.push({ key, bytes });
    return Promise.resolve({
      [Symbol.asyncDispose]: () => Promise.resolve(void this.freed++),
    });
  }
}

Deno.test("encrypted: a place is reserved for the encrypted entry, under its own key", async () => {
  const inner = new RoomBackend();
  const key = await testKey();
  const backend = new EncryptedCredentialsBackend({ backend: inner, key });
  {
    await using _room = await backend.reserve!("k", 3000);
    assertEquals(inner.reserved.map(({ key }) => key), ["encrypted|k"]);
    assert(inner.reserved[0]!.bytes >= 4000);
  }
  assertEquals(inner.freed, 1);
  const plain = new MemoryCredentialsBackend();
  assertEquals(new EncryptedCredentialsBackend({ backend: plain, key }).reserve, undefined);
});

Deno.test("fallback: one store with a place is enough, and none is the last one's error", async () => {
  const [first, second] = [new RoomBackend(), new RoomBackend()];
  const backend = new FallbackCredentialsBackend({ backends: [first, second] });
  first.isFull = true;
  {
    await using _room = await backend.reserve!("k", 1000);
    assertEquals(second.reserved.length, 1);
  }
  assertEquals(second.freed, 1);
  second.isFull = true;
  await rejectsWith("backend_full", () => backend.reserve!("k", 1000));
  const third = new MemoryCredentialsBackend();
  assertEquals(new FallbackCredentialsBackend({ backends: [first, third] }).reserve, undefined);
});
