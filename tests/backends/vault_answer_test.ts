// What a proxy before Vault answers, and Vault itself does not.
import { assertEquals } from "@std/assert";
import { VaultCredentialsBackend } from "../../backends/vault.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { json } from "../support/http_server.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const TOKEN = "hvs.Kq3Zt8Lm2Wx7Rv5B";

/** A backend of a KV engine whose every answer, but to the login, is this one. */
function backend(answer: (method: string, pathname: string) => Response): VaultCredentialsBackend {
  const options = { version: "2" };
  return new VaultCredentialsBackend({
    address: "https://vault.example.com:8200",
    path: "users/anna",
    auth: { method: "token", token: TOKEN },
    fetch: (input, init) => {
      const { pathname } = new URL(String(input));
      if (pathname.startsWith("/v1/auth/")) return Promise.resolve(json({ data: { ttl: 0 } }));
      if (!pathname.startsWith("/v1/sys/")) return Promise.resolve(answer(init!.method!, pathname));
      return Promise.resolve(json({ data: { type: "kv", path: "secret/", options } }));
    },
  });
}

const STRANGERS: [what: string, answer: () => Response][] = [
  ["an empty text", () => new Response(null, { status: 404 })],
  ["JSON of its own", () => json({ message: "no Route matched with those values" }, 404)],
];

for (const [what, answer] of STRANGERS) {
  Deno.test(
    `a 404 with ${what} is a proxy's, and never "not signed in"`,
    { permissions: "none" },
    async () => {
      const vault = backend(answer);
      const code = "backend_unavailable";
      await rejectsWith(code, () => vault.get(KEY), "404");
      await rejectsWith(code, () => vault.put(KEY, entry()), "404");
      await rejectsWith(code, () => vault.delete(KEY), "404");
      await rejectsWith(code, () => Array.fromAsync(vault.list()), "404");
      await rejectsWith(code, () => vault.withLock(KEY, () => Promise.resolve()), "404");
      await vault.close();
    },
  );
}

Deno.test(`what quotes the token or the entry is not told, and other words are`, {
  permissions: "none",
}, async () => {
  const { access_token } = entry();
  for (
    const [words, isTold] of [
      ["no handler for this", true],
      [`bad header X-Vault-Token: ${TOKEN}`, false],
      [`bad value ${access_token}`, false],
    ] as const
  ) {
    const refused = () => json({ errors: [words] }, 400);
    const writing = backend((method, pathname) => {
      if (method === "GET") return json({ errors: [] }, 404);
      return pathname.includes("/metadata/") ? new Response(null, { status: 204 }) : refused();
    });
    const reading = backend(refused);
    const uses = [() => writing.put(KEY, entry())];
    if (!words.includes(access_token)) { // which a read does not send
      uses.push(async () => void await reading.get(KEY), () => reading.delete(KEY));
    }
    for (const use of uses) {
      const error = await rejectsWith("backend_unavailable", use, "400");
      assertNoSecret(error, [TOKEN]);
      assertEquals(error.message.includes(words), isTold);
    }
    await writing.close();
    await reading.close();
  }
});

Deno.test(`a 404 with an empty list of errors is Vault's for what is not there`, {
  permissions: "none",
}, async () => {
  const vault = backend(() => json({ errors: [] }, 404));
  assertEquals(await vault.get(KEY), undefined);
  assertEquals(await Array.fromAsync(vault.list()), []);
  await vault.close();
});
