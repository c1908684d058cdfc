import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  credentialKey,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
  ValidMindAuthError,
} from "@validmind/auth";

const ISSUERS: [given: string, normalized: string][] = [
  ["https://login.example.com", "https://login.example.com"],
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
  // Python's strip treats these otherwise.
  ...["\x1c", "\x1f", "\x85"].map((space): [string, string] => [`${space}a`, `${space}a`]),
  ["\ufeffa", "a"],
];

Deno.test("normalizeIssuer: white space, outer quotes and trailing slashes go, in linear time", () => {
  for (const [given, normalized] of ISSUERS) assertEquals(normalizeIssuer(given), normalized);
  const start = performance.now();
  for (const text of [`${"/".repeat(60_000)}x`, '"'.repeat(60_000), " /".repeat(30_000)]) {
    normalizeIssuer(text);
  }
  assert(performance.now() - start < 500);
});

Deno.test("normalizeClientId: white space and outer quotes go, slashes stay", () => {
  const clients = { " my-app ": "my-app", "'my-app'": "my-app", '"api://a/"': "api://a/" };
  // No Unicode normalisation, as in Python.
  for (
    const [given, normalized] of Object.entries({
      ...clients,
      "it's": "it's",
      "e\u0301": "e\u0301",
    })
  ) {
    assertEquals(normalizeClientId(given), normalized);
  }
});

Deno.test("normalizeAudience: a trailing slash stays, nothing left is undefined", () => {
  assertEquals(normalizeAudience(' "https://api.example.com/" '), "https://api.example.com/");
  for (const nothing of [undefined, null, "", "  ", '""', "' '"]) {
    assertEquals(normalizeAudience(nothing), undefined);
  }
});

const KEYS: [...Parameters<typeof credentialKey>, key: string][] = [
  ["https://a.example/", " app ", undefined, {}, "https://a.example|app"],
  ["https://a.example", "app", "", { profile: undefined }, "https://a.example|app"],
  ["https://a.example", "app", null, { dpop: true }, "dpop|https://a.example|app"],
  ["'https://a.example/'", "app", "api/", {}, "https://a.example|app|api/"],
  [
    "https://a.example/",
    "app",
    "api",
    { profile: "work" },
    "profile:work|https://a.example|app|api",
  ],
  [
    "https://a.example",
    "app",
    null,
    { profile: "a.b_c@d+e-f" },
    "profile:a.b_c@d+e-f|https://a.example|app",
  ],
];

Deno.test("credentialKey: the parts that are there; a profile stands where no audience can", () => {
  for (const [issuer, client, audience, options, key] of KEYS) {
    assertEquals(credentialKey(issuer, client, audience, options), key);
  }
});

Deno.test("credentialKey: a part that could make another key is refused", () => {
  const bad: Parameters<typeof credentialKey>[] = [
    "",
    " ",
    "a|b",
    "a:b",
    "a\nb",
    "ä",
    "a".repeat(65),
  ]
    .map((profile) => ["https://a.example", "app", null, { profile }]);
  for (
    const args of [...bad, ["https://a.example", "a|b"], ["https://a/x|profile:b", "app"]] as const
  ) {
    const run = () => credentialKey(...args as Parameters<typeof credentialKey>);
    assertEquals(assertThrows(run, ValidMindAuthError).code, "invalid_options");
  }
});

Deno.test("credentialKey: no two choices share a key, and no person's is the client's own", () => {
  const issuers = ["https://a.example", "http://127.0.0.1:1/client_credentials"];
  const texts = [...issuers, "client_credentials", "dpop", "profile:work"];
  const audiences = [undefined, ...texts, texts.join("|"), "https://a.example|app", "work|api"];
  const keysOf = (flow: string | undefined) =>
    issuers.flatMap((issuer) =>
      texts.flatMap((clientId) =>
        audiences.flatMap((audience) =>
          [undefined, "work", "client_credentials"].flatMap((profile) =>
            [false, true].map((dpop) =>
              credentialKey(issuer, clientId, audience, { profile, dpop, flow })
            )
          )
        )
      )
    );
  const persons = keysOf("device");
  const clients = keysOf("client_credentials");
  assertEquals(new Set([...persons, ...clients]).size, persons.length + clients.length);
  for (const flow of ["auto", "browser", undefined]) assertEquals(keysOf(flow), persons);
});
