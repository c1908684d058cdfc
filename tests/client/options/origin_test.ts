import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { OPTION_NAMES, type OptionName, PROOFS } from "../../../client/options/declaration.ts";
import { type CallOrigin, findOrigin } from "../../../client/options/places.ts";
import { apiHostMissing, resolveOptions } from "../../../client/options/resolve_options.ts";
import type { InitOptions } from "../../../client/session_options.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { withTempHome } from "../../support/temp_home.ts";

/** The letters of a row, each with its option, its variable, and its value by the digit. */
const LETTERS: Record<string, [name: string, variable: string, value: (digit: string) => unknown]> =
  {
    I: ["issuer", "VM_OIDC_ISSUER", (digit) => `https://i${digit[0]}.example.com${digit.slice(1)}`],
    C: ["clientId", "VM_OIDC_CLIENT_ID", (digit) => `client-${digit}`],
    K: ["apiKey", "VM_API_KEY", (digit) => `key-${digit}`],
    S: ["apiSecret", "VM_API_SECRET", (digit) => `secret-${digit}`],
    H: ["apiHost", "VM_API_HOST", (digit) => `https://h${digit}.example.com/`],
    A: ["audience", "VM_OIDC_AUDIENCE", (digit) => `audience-${digit}`],
    O: ["scope", "VM_OIDC_SCOPE", (digit) => `scope-${digit}`],
    W: ["flow", "VM_OIDC_FLOW", (digit) => digit === "5" ? "browser" : "device"],
    M: ["model", "VM_API_MODEL", (digit) => `model-${digit}`],
    X: ["clientSecret", "VM_OIDC_CLIENT_SECRET", (digit) => `client-secret-${digit}`],
    Y: ["clientSecretFile", "VM_OIDC_CLIENT_SECRET_FILE", (digit) => `/run/secret-${digit}`],
    E: ["clientAssertion", "VM_OIDC_CLIENT_ASSERTION", (digit) => `github:${digit}`],
    T: ["subjectTokenFile", "VM_OIDC_SUBJECT_TOKEN_FILE", (digit) => `/run/token-${digit}`],
    L: ["profile", "VM_OIDC_PROFILE", (digit) => `label-${digit}`],
    B: ["bearer", "", () => "access_token"],
    D: ["dpop", "", () => true],
    Z: ["backend", "VM_OIDC_CREDENTIALS_BACKEND", () => "kv"],
    N: ["interactive", "VM_OIDC_INTERACTIVE", () => false],
  };

interface Row {
  id: string;
  call: "api" | "init" | "cc" | "token" | "out";
  code: string[];
  profile: string[];
  variables: string[];
  file: string[];
  result: string[];
  about: string;
}

const text = Deno.readTextFileSync(new URL("../../fixtures/origins.txt", import.meta.url));
const [header = "", ...lines] = text.trimEnd().split("\n");
const names = header.split(" | ");
const ROWS = lines.map((line) => {
  const cells = line.split("|").map((cell) => cell.trim());
  const words = (cell: string) => cell.split(" ").filter(Boolean);
  return Object.fromEntries(names.map((name, at) => {
    const isText = ["id", "call", "about"].includes(name);
    return [name, isText ? cells[at] : words(cells[at]!)];
  })) as unknown as Row;
});

/** The values of a place by the names of the options. */
function valuesOf(words: string[]): Record<string, unknown> {
  return Object.fromEntries(words.map((word) => {
    const [name, , value] = LETTERS[word[0]!]!;
    return [name, value(word.slice(1))];
  }));
}

/** Runs a test in a home with the settings and the variables of a row, and gives the options of its call. */
async function withRow(row: Row, run: (given: InitOptions) => Promise<void>): Promise<void> {
  await withTempHome(async (home) => {
    const given = valuesOf(row.code) as InitOptions;
    const labels = [...row.code, ...row.variables].filter((word) => word.startsWith("L"));
    const profiles = row.profile.length > 0
      ? { profiles: { [`label-${labels[0]!.slice(1)}`]: valuesOf(row.profile) } }
      : {};
    const document = { ...valuesOf(row.file), ...profiles };
    const folder = join(home, ".config", "validmind-auth");
    await Deno.mkdir(folder, { recursive: true });
    const path = join(folder, "settings.json");
    await Deno.writeTextFile(path, JSON.stringify(document), { mode: 0o600 });
    for (const word of row.variables) {
      const [, variable, value] = LETTERS[word[0]!]!;
      const isNo = value("") === false;
      Deno.env.set(variable, isNo ? "0" : `${value(word.slice(1))}`);
    }
    await run(row.call === "cc" ? { flow: "client_credentials", ...given } : given);
  });
}

/** What a call comes to, as the table has it. */
function resultOf(row: Row, { origin }: CallOrigin): string[] {
  const columns = {
    code: "code",
    profile: "profile",
    variables: "variables",
    file: "file",
  } as const;
  const taken = Object.entries(LETTERS).flatMap(([letter, [name]]) => {
    const found = name === "backend"
      ? origin.placeOfStore()?.find(name)
      : origin.find(name as OptionName);
    if (found === undefined) return [];
    const word = row[columns[found.place.kind]].find((one) => one.startsWith(letter));
    if (word === undefined) return []; // the flow that the test gives
    const value = LETTERS[letter]![2](word.slice(1));
    assertEquals(
      `${found.value}`,
      found.place.kind === "variables" && value === false ? "0" : `${value}`,
    );
    return [`${word}${found.place.kind[0]}`];
  });
  const isKey = origin.find("apiKey") !== undefined;
  const needed: Record<string, readonly OptionName[]> = {
    ...(isKey ? { S: ["apiSecret", "apiSecretFile"] } : { I: ["issuer"], C: ["clientId"] }),
    ...(["api", "init", "cc"].includes(row.call) && { H: ["apiUrl", "apiHost"] }),
    ...(row.call === "cc" && { P: PROOFS }),
  };
  const lacking = Object.entries(needed).flatMap(([letter, options]) => {
    if (options.some((name) => origin.find(name))) return [];
    const passed = options.map((name) => origin.passed(name)).find((one) => one !== undefined);
    return [`!${letter}${passed === undefined ? "" : `@${passed.place.kind[0]}`}`];
  });
  return [...taken, ...lacking];
}

const CODES: Record<string, string> = {
  I: "invalid_options",
  C: "invalid_options",
  S: "missing_api_credentials",
  H: "api_host_missing",
  P: "client_auth_unusable",
  conflict: "conflicting_credentials",
};

/** Makes the call of a row as far as it goes before any request. */
function attempt(row: Row, given: InitOptions, places: CallOrigin): void {
  const options = places.origin.complete(given, "test", () => true);
  const resolved = resolveOptions(options, "test", row.call === "init", places);
  const needsHost = row.call === "api" || row.call === "cc";
  if (needsHost && resolved.apiHost === undefined) throw apiHostMissing("test", places);
}

for (const row of ROWS) {
  const { id, about, result } = row;
  Deno.test(`origin: ${id}: ${about}`, async () => {
    await withRow(row, async (given) => {
      const places = await findOrigin(given, "test");
      const faults = result.filter((word) => word === "conflict" || word.startsWith("!"));
      if (!result.includes("conflict")) {
        const hasLabel = result.some((word) => word.startsWith("L"));
        const found = resultOf(row, places).filter((word) => hasLabel || !word.startsWith("L"));
        assertEquals(found.toSorted(), result.toSorted());
      }
      if (faults.length === 0) return attempt(row, given, places);
      try {
        attempt(row, given, places);
      } catch (error) {
        assert(error instanceof ValidMindAuthError);
        const codes = faults.map((word) => CODES[word.replace(/!(.).*/, "$1")]);
        assert(codes.includes(error.code) || id === "none", `${error.code}: ${error.message}`);
        if (faults[0]!.includes("@")) {
          assert(/does not count: .*Give /s.test(error.message), error.message);
        }
        return;
      }
      assert(false, "no error");
    });
  });
}

Deno.test("origin: every combination of the table is there, and every letter is an option", () => {
  assertEquals([ROWS.length, new Set(ROWS.map(({ id }) => id)).size], [104, 104]);
  const options: readonly string[] = [...OPTION_NAMES, "backend"];
  assertEquals(Object.values(LETTERS).filter(([name]) => !options.includes(name)), []);
});

Deno.test("origin: the variables do not count where Deno hides the issuer that they may name", {
  permissions: { env: ["VM_OIDC_SCOPE"] },
}, async () => {
  using _ = new OwnEnv({ VM_OIDC_SCOPE: "openid other" });
  const { origin } = await findOrigin(valuesOf(["I1", "C1"]), "test");
  assertEquals([origin.find("scope"), origin.passed("scope")?.place.kind], [
    undefined,
    "variables",
  ]);
});
