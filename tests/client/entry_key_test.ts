import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  credentialKey,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "../../client/entry.ts";
import { ValidMindAuthError } from "../../client/errors.ts";

const ISSUERS: [given: string, normalized: string][] = [
  ["https://login.example.com", "https://login.example.com"],
  ["https://login.example.com/", "https://login.example.com"],
  ["https://login.example.com///", "https://login.example.com"],
  ["https://login.example.com/realms/acme/", "https://login.example.com/realms/acme"],
  [" \thttps://login.example.com\n", "https://login.example.com"],
  ['"https://login.example.com/"', "https://login.example.com"],
  ["'https://login.example.com/'", "https://login.example.com"],
  [' " https://login.example.com/ " ', "https://login.example.com"],
  [`"'https://login.example.com'"`, "https://login.example.com"],
  ['"https://login.example.com"/', "https://login.example.com"],
  [`"https://login.example.com'`, `"https://login.example.com'`],
  ["https://Login.Example.COM", "https://Login.Example.COM"],
  ["https://bücher.example/straße", "https://bücher.example/straße"],
  ["https://login.example.com:443", "https://login.example.com:443"],
  ["https://login.example.com/.well-known/openid-configuration", "https://login.example.com"],
  ["'https://a.example/realms/x/.well-known/openid-configuration/'", "https://a.example/realms/x"],
  ['"', '"'],
  ['""', ""],
  ["", ""],
];

Deno.test("normalizeIssuer: the characters that Python's strip treats otherwise", () => {
  for (const character of ["\x1c", "\x1d", "\x1e", "\x1f", "\x85"]) {
    assertEquals(normalizeIssuer(`${character}a`), `${character}a`); // Python: "a"
  }
  assertEquals(normalizeIssuer("\ufeffa"), "a"); // Python: unchanged
});

for (const [given, normalized] of ISSUERS) {
  Deno.test(`normalizeIssuer: ${JSON.stringify(given)}`, () => {
    assertEquals(normalizeIssuer(given), normalized);
  });
}

Deno.test("normalizeClientId: white space and outer quotes go, slashes stay", () => {
  assertEquals(normalizeClientId(" my-app "), "my-app");
  assertEquals(normalizeClientId("'my-app'"), "my-app");
  assertEquals(normalizeClientId('"api://my-app/"'), "api://my-app/");
  assertEquals(normalizeClientId("it's"), "it's");
  assertEquals(normalizeClientId("e\u0301"), "e\u0301"); // no Unicode normalisation, as in Python
});

Deno.test("normalizeAudience: a trailing slash stays, nothing left is undefined", () => {
  assertEquals(normalizeAudience("https://api.example.com/"), "https://api.example.com/");
  assertEquals(normalizeAudience(' "https://api.example.com/" '), "https://api.example.com/");
  for (const nothing of [undefined, null, "", "  ", '""', "' '"]) {
    assertEquals(normalizeAudience(nothing), undefined);
  }
});

Deno.test("credentialKey: two parts, or three with an audience", () => {
  assertEquals(credentialKey("https://a.example/", " app "), "https://a.example|app");
  assertEquals(credentialKey("https://a.example", "app", ""), "https://a.example|app");
  assertEquals(credentialKey("https://a.example", "app", null), "https://a.example|app");
  assertEquals(
    credentialKey("'https://a.example/'", "app", "api/"),
    "https://a.example|app|api/",
  );
});

Deno.test("credentialKey: a profile stands before the issuer, where no audience can", () => {
  const issuer = "https://a.example";
  assertEquals(
    credentialKey(`${issuer}/`, "app", "api", { profile: "work" }),
    "profile:work|https://a.example|app|api",
  );
  assertEquals(credentialKey(issuer, "app", null, { profile: "a.b_c@d+e-f" }).split("|").length, 3);
  assertEquals(credentialKey(issuer, "app", null, { profile: undefined }), `${issuer}|app`);
});

Deno.test("credentialKey: a profile that could make another key is refused", () => {
  for (const profile of ["", " ", "a|b", "a:b", "a\nb", "\u00e4", "a".repeat(65)]) {
    const error = assertThrows(
      () => credentialKey("https://a.example", "app", null, { profile }),
      ValidMindAuthError,
    );
    assertEquals(error.code, "invalid_options");
  }
});

Deno.test("credentialKey: no two choices of issuer, client, audience and profile share a key", () => {
  const issuers = ["https://a.example", "https://a.example/x"];
  const audiences = [
    undefined,
    "profile:work",
    "https://a.example|app",
    "work",
    "profile:work|api",
  ];
  const profiles = [undefined, "work", "app", "profile"];
  const keys = issuers.flatMap((issuer) =>
    audiences.flatMap((audience) =>
      profiles.map((profile) => credentialKey(issuer, "app", audience, { profile }))
    )
  );
  assertEquals(new Set(keys).size, issuers.length * audiences.length * profiles.length);
});

Deno.test("credentialKey: no person's key is the client's own, whatever is in it", () => {
  const texts = [
    "https://a.example",
    "http://127.0.0.1:1/client_credentials",
    "client_credentials",
    "dpop",
    "profile:work",
  ];
  const keysOf = (flow: string | undefined) =>
    texts.flatMap((clientId) =>
      [undefined, ...texts, texts.join("|")].flatMap((audience) =>
        [undefined, "work", "client_credentials"].flatMap((profile) =>
          [false, true].flatMap((dpop) =>
            // A session's issuer is an http(s) URL; Python's keys are those without profile and dpop.
            texts.slice(0, 2).map((issuer) =>
              credentialKey(issuer, clientId, audience, { profile, dpop, flow })
            )
          )
        )
      )
    );
  const persons = ["auto", "device", "browser", undefined].flatMap(keysOf);
  const clients = keysOf("client_credentials");
  assertEquals(new Set(clients).size, clients.length);
  assertEquals(clients.filter((key) => persons.includes(key)), []);
  assertEquals(
    new Set(persons).size,
    clients.length,
    "a stored entry serves whatever flow made it",
  );
});

Deno.test("credentialKey: a | in the issuer or the client id is refused", () => {
  const pairs = [["https://a.example", "a|b"], ["https://a.example/x|profile:b", "app"]] as const;
  for (const [issuer, clientId] of pairs) {
    const error = assertThrows(() => credentialKey(issuer, clientId), ValidMindAuthError);
    assertEquals(error.code, "invalid_options");
  }
});

Deno.test("normalizeIssuer: takes linear time", () => {
  const start = performance.now();
  for (const text of [`${"/".repeat(60_000)}x`, '"'.repeat(60_000), " /".repeat(30_000)]) {
    normalizeIssuer(text);
  }
  assert(performance.now() - start < 500);
});
