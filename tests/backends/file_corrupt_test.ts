import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const encoder = new TextEncoder();
const whole = JSON.stringify({ version: 1, credentials: { [KEY]: entry() } }, null, 2);

function bytes(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function withBadByte(): Uint8Array {
  const text = encoder.encode(whole);
  text[whole.indexOf(entry().access_token) + 10] = 0xff;
  return text;
}

const rows = { [KEY]: entry() };

/** What nobody can make sense of: every access fails. */
const CORRUPT: Record<string, Uint8Array> = {
  "empty": new Uint8Array(),
  "white space": encoder.encode("\n  \n"),
  "truncated in a token": encoder.encode(whole.slice(0, whole.indexOf(entry().access_token) + 11)),
  "truncated before its last brace": encoder.encode(whole.slice(0, -1)),
  "followed by rubbish": encoder.encode(`${whole}}`),
  "not UTF-8": withBadByte(),
  "UTF-16": Uint8Array.from([
    0xff,
    0xfe,
    ...Array.from(whole, (char) => [char.charCodeAt(0), 0]).flat(),
  ]),
  "zeros": new Uint8Array(512),
  "a bare token": encoder.encode(entry().access_token),
  "null": bytes(null),
  "a number": bytes(1),
  "a string": bytes(whole),
  "an array": bytes([entry()]),
  "of a string version": bytes({ version: "1", credentials: rows }),
  "of version 0": bytes({ version: 0, credentials: rows }),
  "of version 1.5": bytes({ version: 1.5, credentials: rows }),
  "with an array of credentials": bytes({ version: 1, credentials: [entry()] }),
  "with a string for credentials": bytes({ version: 1, credentials: entry().access_token }),
};

for (const [what, content] of Object.entries(CORRUPT)) {
  Deno.test(`a file that is ${what} is an error without its content, and is left as it is`, {
    permissions,
  }, async () => {
    const parent = folder();
    const path = `${parent}/credentials.json`;
    Deno.writeFileSync(path, content, { mode: 0o600 });
    const backend = new FileCredentialsBackend({ path });
    const accesses = [
      () => backend.get(KEY),
      () => backend.put(KEY, entry()),
      () => backend.delete(KEY),
      () => Array.fromAsync(backend.list()),
    ];
    for (const access of accesses) {
      await rejectsWith("backend_corrupt", access, path, "clearOidcCredentials({ all: true })");
    }
    assertEquals(Deno.readFileSync(path), Uint8Array.from(content));
    assertEquals(namesIn(parent).filter((name) => !name.endsWith(".lock")), ["credentials.json"]);
  });

  Deno.test(`the advice for a file that is ${what} leads to a sign-in, at any path`, {
    permissions,
  }, async () => {
    const path = `${folder()}/credentials.json`;
    Deno.writeFileSync(path, content, { mode: 0o600 });
    const backend = new FileCredentialsBackend({ path });
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path, "or delete it");
    try {
      await backend.deleteAll();
    } catch {
      await rejectsWith("backend_corrupt", () => backend.deleteAll(), path, "delete the file");
      Deno.removeSync(path);
    }
    await backend.put(KEY, entry());
    assertEquals(backend.get(KEY), entry());
  });

  Deno.test(
    `deleteAll gets rid of a file at the default place that is ${what}`,
    { permissions },
    async () => {
      const path = `${folder()}/.validmind/credentials.json`;
      Deno.mkdirSync(path.replace("/credentials.json", ""), { mode: 0o700 });
      Deno.writeFileSync(path, content, { mode: 0o600 });
      const backend = new FileCredentialsBackend({ path });
      await backend.deleteAll();
      assertEquals(backend.get(KEY), undefined);
      await backend.put(KEY, entry());
      assertEquals(backend.get(KEY), entry());
    },
  );
}

for (const row of ["a token", 1, true, [entry()]]) {
  Deno.test(`a row that is ${JSON.stringify(row).slice(0, 12)}… is an error, and others work`, {
    permissions,
  }, async () => {
    const path = `${folder()}/credentials.json`;
    const content = bytes({ version: 1, credentials: { [KEY]: row, [OTHER]: entry() } });
    Deno.writeFileSync(path, content, { mode: 0o600 });
    const backend = new FileCredentialsBackend({ path });
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    assertEquals(backend.get(OTHER), entry());
    await backend.put(OTHER, entry({ x_new: 1 }));
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    await backend.delete(KEY);
    assertEquals(backend.get(KEY), undefined);
  });
}

Deno.test("deleteAll leaves a file alone that a wrong path names and that is none of ours", {
  permissions,
}, async () => {
  const contents = ['{"name": "app"}', "notes of mine", '{"version": 2, "items": []}'];
  contents.push('{"installed": {"client_id": "x"}}', '{"version": 1, "credentials": [{"a": 1}]}');
  for (const content of contents) {
    const path = `${folder()}/credentials.json`;
    Deno.writeTextFileSync(path, content);
    const backend = new FileCredentialsBackend({ path });
    await rejectsWith("backend_corrupt", () => backend.deleteAll(), path, "does not look like");
    assertEquals(Deno.readTextFileSync(path), content);
  }
});

Deno.test("a file that is larger than any credentials file is neither read nor deleted", {
  permissions,
}, async () => {
  const path = `${folder()}/data.bin`;
  Deno.writeTextFileSync(path, "");
  Deno.truncateSync(path, 3_000_000_000);
  const backend = new FileCredentialsBackend({ path });
  const words = [path, "3000000000 bytes"];
  await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
  await rejectsWith("backend_denied", () => backend.put(KEY, entry()), ...words);
  await rejectsWith("backend_denied", () => backend.deleteAll(), path);
  assertEquals(Deno.statSync(path).size, 3_000_000_000);
});
