import { assertNotMatch, assertThrows } from "@std/assert";
import { assertNoSecret, rememberSecret } from "./assert_no_secret.ts";

const SECRET = "tok.4fK9zQw2";

class Leaky {
  readonly #token = SECRET;
  toJSON(): string {
    return this.#token;
  }
}

const LEAKS: Record<string, unknown> = {
  "a string": `Bearer ${SECRET}`,
  "a message": new Error(`bad ${SECRET}`),
  "a cause": new Error("bad", { cause: new Error(`worse ${SECRET}`) }),
  "a cause that is no error": new Error("bad", { cause: { body: SECRET } }),
  "an error's property": Object.assign(new Error("bad"), { body: SECRET }),
  "a nested field": { a: { b: { c: [SECRET] } } },
  "a hidden field": Object.defineProperty({}, "token", { value: SECRET, enumerable: false }),
  "a map": new Map([["key", SECRET]]),
  "a getter": {
    get token() {
      return SECRET;
    },
  },
  "toJSON": new Leaky(),
  "toString": { toString: () => SECRET },
  "one error of several": new AggregateError([new Error(SECRET)], "several"),
  "a prefix": `Bearer ${SECRET.slice(0, 8)}…`,
};

for (const [where, value] of Object.entries(LEAKS)) {
  Deno.test(`assertNoSecret finds a secret in ${where}, and does not repeat it`, () => {
    const error = assertThrows(() => assertNoSecret(value, [SECRET]), Error, "shows a secret");
    assertNotMatch(error.message, /4fK9zQw2/);
  });
}

Deno.test("assertNoSecret passes what shows none", () => {
  assertNoSecret(new Error("bad", { cause: new Error("worse") }), [SECRET]);
  assertNoSecret({ issuer: "https://login.example.com" }, [SECRET]);
});

Deno.test("assertNoSecret takes the claims of a JWT for a secret, unless told otherwise", () => {
  const base64 = (text: string) =>
    new TextEncoder().encode(text).toBase64({ alphabet: "base64url" });
  const claims = base64('{"iat":1795817445}');
  const signature = "q7Zr0Lw9Tn2Xb5Vk8Hd1";
  rememberSecret(`${base64('{"alg":"RS256"}')}.${claims}.${signature}`);
  const cookie = `_xsrf=${claims.slice(4, 20)}`;
  assertThrows(() => assertNoSecret(cookie), Error, "shows a secret");
  assertNoSecret(cookie, [], { claims: false });
  const end = `${cookie} ${signature.slice(-8)}`;
  assertThrows(() => assertNoSecret(end, [], { claims: false }), Error, "shows a secret");
});
