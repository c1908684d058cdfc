import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { FileCredentialsBackend, type OidcCredentials } from "@validmind/auth";
import { sandbox } from "../support/sandbox.ts";

const { folder } = sandbox();
const fields = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue(), { maxKeys: 5 });
const key = fc.string({ unit: "binary", minLength: 1, maxLength: 200 });

/** JSON itself turns -0 into 0 and lone surrogates into escapes that come back the same. */
function asJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

const entry = fields.map((fields): OidcCredentials =>
  asJson({ ...fields, issuer: "https://login.example.com", client_id: "p", access_token: "t" })
);

Deno.test("file: any entry under any key comes back, and a write keeps all else", async () => {
  const path = `${folder()}/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  const rows = fc.dictionary(key, entry, { maxKeys: 5 });
  await fc.assert(
    fc.asyncProperty(fields, rows, key, entry, async (extra, credentials, name, value) => {
      const before = asJson({ ...extra, version: 1, credentials });
      await Deno.writeTextFile(path, JSON.stringify(before), { mode: 0o600 });
      for (const [key, row] of Object.entries(before.credentials)) {
        assertEquals(backend.get(key), row);
      }
      await backend.put(name, value);
      assertEquals(backend.get(name), value);
      const after = asJson(JSON.parse(await Deno.readTextFile(path)));
      delete after.credentials[name];
      delete before.credentials[name];
      assertEquals(after, before);
    }),
    { numRuns: 60 },
  );
});
