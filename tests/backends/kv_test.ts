import { assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

/** What `KvCredentialsBackend` adds by `close` in a test that throws, too. */
async function withBackend(
  path: string | undefined,
  test: (backend: KvCredentialsBackend) => Promise<void>,
): Promise<void> {
  const backend = new KvCredentialsBackend(path === undefined ? {} : { path });
  try {
    await test(backend);
  } finally {
    await backend.close();
  }
}

Deno.test(
  "two KV backends in memory are two stores",
  { permissions: "none" },
  () =>
    withBackend(undefined, (one) =>
      withBackend(undefined, async (other) => {
        await one.put(KEY, entry());
        assertEquals(await other.get(KEY), undefined);
      })),
);

for (const path of [":memory:", "file"]) {
  Deno.test(`an entry of up to 64 KiB fits (${path})`, {
    permissions,
  }, () =>
    withBackend(path === "file" ? `${folder()}/kv.db` : path, async (backend) => {
      for (const fill of ["f", "ß", "日", "🔑"]) {
        for (const size of [19_000, 60_000]) {
          const length = Math.floor(size / new TextEncoder().encode(fill).length);
          const large = entry({ x_fill: fill.repeat(length) });
          await backend.put(KEY, large);
          assertEquals(await backend.get(KEY), large);
        }
      }
      assertEquals(await Array.fromAsync(backend.list()), [KEY]);
      await backend.put(KEY, entry());
      assertEquals(await backend.get(KEY), entry());
    }));

  Deno.test(`an entry over 64 KiB is backend_too_large, and the old is kept (${path})`, {
    permissions,
  }, () =>
    withBackend(path === "file" ? `${folder()}/kv.db` : path, async (backend) => {
      await backend.put(KEY, entry());
      for (const size of [65_536, 2_000_000]) {
        const large = entry({ x_fill: "f".repeat(size) });
        await rejectsWith("backend_too_large", () => backend.put(KEY, large), "64 KiB");
        assertEquals(await backend.get(KEY), entry());
      }
      const long = "k".repeat(2048);
      await rejectsWith("backend_too_large", () => backend.put(long, entry()), "its key");
    }));
}

Deno.test(
  "an entry that V8 writes larger than JSON does fits",
  { permissions: "none" },
  () =>
    withBackend(undefined, async (backend) => {
      const numbers = entry({ x_numbers: Array(4900).fill(0.5) });
      const wide = entry({ x_wide: `日${"a".repeat(19_000)}` });
      for (const awkward of [numbers, wide]) {
        await backend.put(KEY, awkward);
        assertEquals(await backend.get(KEY), JSON.parse(JSON.stringify(awkward)));
      }
    }),
);

Deno.test(
  "a KV backend on a path keeps its entries over close and reopen",
  { permissions },
  async () => {
    const path = `${folder()}/deep/er/kv.db`;
    await withBackend(path, async (backend) => {
      await backend.put(KEY, entry());
      await backend.close();
      assertEquals(await backend.get(KEY), entry());
    });
    await withBackend(path, async (backend) => {
      assertEquals(await backend.get(KEY), entry());
      assertEquals(await Array.fromAsync(backend.list()), [KEY]);
    });
  },
);

Deno.test("a KV backend in memory is empty after close, and close may come twice or unused", {
  permissions: "none",
}, () =>
  withBackend(undefined, async (backend) => {
    await backend.close();
    await backend.put(KEY, entry());
    await backend.close();
    await backend.close();
    assertEquals(await backend.get(KEY), undefined);
  }));

Deno.test("a KV backend that could not be opened tries again", { permissions }, async () => {
  const parent = folder();
  Deno.writeTextFileSync(`${parent}/a`, "");
  await withBackend(`${parent}/a/kv.db`, async (backend) => {
    await rejectsWith("backend_unavailable", () => backend.get(KEY));
    Deno.removeSync(`${parent}/a`);
    assertEquals(await backend.get(KEY), undefined);
  });
});

Deno.test(
  "a KV backend says where it keeps things, and whether they last",
  { permissions: "none" },
  () => {
    const where = (path?: string) => {
      const { persistent, location } = new KvCredentialsBackend(path === undefined ? {} : { path });
      return [persistent, location];
    };
    assertEquals(where(), [false, "a Deno KV database in the memory of this process"]);
    assertEquals(where(":memory:"), where());
    assertEquals(where("/data/kv.db"), [true, "/data/kv.db"]);
    assertEquals(where("https://kv.example.com/x"), [true, "https://kv.example.com/x"]);
  },
);

Deno.test("a KV backend refuses options that it does not know, or that are wrong", {
  permissions: "none",
}, async () => {
  const make = (options: unknown) => () => new KvCredentialsBackend(options as object);
  await rejectsWith(
    "invalid_options",
    make({ url: "/x" }),
    `"url"`,
    "path, lockTimeoutMs, timeoutMs",
  );
  await rejectsWith("invalid_options", make({ path: "" }), `"path"`);
  await rejectsWith("invalid_options", make({ path: null }), `"path"`);
  await rejectsWith("invalid_options", make({ path: "file:///x" }), `"path"`);
  await rejectsWith(
    "invalid_options",
    make({ path: "http://kv.example.com" }),
    "https:",
    "localhost",
  );
  await rejectsWith(
    "invalid_options",
    make({ path: "https://kv.example.com?token=x" }),
    "plain URL",
  );
  make({ path: "http://localhost:4512" })();
  // Deno takes these for the names of local files.
  const files = [
    "HTTP://kv.example.com",
    "https:kv.example.com",
    " https://kv.example.com",
    "a2://b",
  ];
  for (const path of files) await rejectsWith("invalid_options", make({ path }), "plain URL");
  await rejectsWith("invalid_options", make({ lockTimeoutMs: "5" }), `"lockTimeoutMs"`);
  await rejectsWith("invalid_options", make({ timeoutMs: -1 }), `"timeoutMs"`);
  await rejectsWith("invalid_options", make([]), "not an object");
});
