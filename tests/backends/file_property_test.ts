import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { FileCredentialsBackend, type OidcCredentials } from "@validmind/auth";
import { tempDir } from "../support/temp_home.ts";

const jsonObject = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue(), { maxKeys: 5 });
const key = fc.string({ unit: "binary", minLength: 1, maxLength: 200 });

/** JSON itself turns -0 into 0 and lone surrogates into escapes that come back the same. */
function asJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

const entry = jsonObject.map((fields): OidcCredentials =>
  asJson({
    ...fields,
    issuer: "https://login.example.com",
    client_id: "property",
    access_token: "fixture",
  })
);

Deno.test("a file gives back every entry under every key", async () => {
  await using folder = await tempDir();
  const backend = new FileCredentialsBackend({ path: `${folder.path}/credentials.json` });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(key, entry), { selector: ([name]) => name }),
      async (rows) => {
        await backend.deleteAll();
        for (const [name, value] of rows) await backend.put(name, value);
        for (const [name, value] of rows) assertEquals(backend.get(name), value);
        assertEquals(
          (await Array.fromAsync(backend.list())).sort(),
          rows.map(([name]) => name).sort(),
        );
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("a write keeps all else that stands in the file", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  await fc.assert(
    fc.asyncProperty(
      jsonObject,
      fc.dictionary(key, entry),
      key,
      entry,
      async (extra, rows, name, value) => {
        const before = asJson({ ...extra, version: 1, credentials: rows });
        await Deno.writeTextFile(path, JSON.stringify(before), { mode: 0o600 });
        await backend.put(name, value);
        const after = JSON.parse(await Deno.readTextFile(path));
        assertEquals(Object.getOwnPropertyDescriptor(after.credentials, name)?.value, value);
        delete after.credentials[name];
        delete before.credentials[name];
        assertEquals(after, before);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("no text at all makes the file crash or change what it refuses", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const backend = new FileCredentialsBackend({ path, onWarning: () => {} });
  const content = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.record({ version: fc.jsonValue(), credentials: fc.jsonValue() }, { requiredKeys: [] })
      .map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(content, async (text) => {
      await Deno.writeTextFile(path, text);
      await Deno.utime(path, 0, 0); // a young one is read again for a while
      const before = await Deno.readTextFile(path);
      try {
        backend.get("some key");
        await backend.put("some key", { issuer: "i", client_id: "c", access_token: "t" });
      } catch (error) {
        assertEquals((error as Error).name, "CredentialsBackendError");
        assertEquals(await Deno.readTextFile(path), before);
      }
    }),
    { numRuns: 300 },
  );
});
