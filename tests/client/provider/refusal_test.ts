import { assert, assertEquals } from "@std/assert";
import { parseObject } from "../../../backends/common/json.ts";
import { CONSEQUENCES, type RefusalKind } from "../../../client/errors.ts";
import { type AskedFor, isRedirect, readRefusal } from "../../../client/provider/refusal.ts";
import { DEVICE } from "../../../client/provider/device_grant.ts";
import { refusalKind } from "../../../client/provider/error.ts";
import { TOKEN } from "../../../client/provider/endpoint.ts";
import { providerFetch } from "../../../client/provider/fetch.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { type RefusalRow, ROWS } from "./refusal_rows.ts";

function read([at, status, body, , , hasProof]: RefusalRow) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return readRefusal({ at, status, text, json: parseObject(text), hasProof });
}

for (const [provider, rows] of Object.entries(ROWS)) {
  Deno.test(`refusals of ${provider}: each answer has the kind of its row`, () => {
    const expected = rows.map(([at, status, body, kind]) => [at, status, body, kind]);
    const found = rows.map((row) => [...row.slice(0, 3), read(row).kind]);
    assertEquals(found, expected);
  });
}

/** The grants of the questions to the token endpoint. */
const GRANTS: Partial<Record<AskedFor, string>> = {
  poll: "urn:ietf:params:oauth:grant-type:device_code",
  code: "authorization_code",
  refresh: "refresh_token",
  client: "client_credentials",
  exchange: "urn:ietf:params:oauth:grant-type:token-exchange",
};

/** The kind of a row's answer to a real request, from which question and proof are read. */
async function kindByRequest([at, status, body, , , hasProof]: RefusalRow) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const fetch = spyFetch(() => new Response(text, { status }));
  const { now, delay } = new FakeClock();
  const runtime = { fetch, now, elapsed: now, delay, timeoutMs: 5000, secrets: new Set<string>() };
  const form = new URLSearchParams({ grant_type: GRANTS[at] ?? "" });
  if (hasProof) form.set("client_secret", "x9-Qwz7-Pk4-Lm2");
  const ask = providerFetch(at === "device" ? DEVICE : TOKEN, runtime);
  const answer = await ask("https://login.example.com/x", { method: "POST", body: form })
    .then((response) => response.json(), (error) => ({ refusal: { kind: refusalKind(error) } }));
  return answer.refusal.kind;
}

Deno.test("refusals: an answer to a request of each kind has the kind of its row", async () => {
  const asked = Object.values(ROWS).flat().filter(([at]) => at === "device" || at in GRANTS);
  for (const row of asked) assertEquals(await kindByRequest(row), row[3], JSON.stringify(row));
  assertEquals(asked.length > 120, true);
});

Deno.test("refusals: all rows are there", () => {
  assertEquals(Object.values(ROWS).flat().length, 169);
});

/** The error of each form. */
const FORMS: [form: string, body: Record<string, unknown>, ...words: string[]][] = [
  ["OAuth", { error: "a", error_description: "b" }, "a", "b", ""],
  ["Entra", { error: "a", error_description: "b", suberror: "c" }, "a", "b", "c"],
  ["Google's OAuth", { error: "a", error_subtype: "c" }, "a", "", "c"],
  ["Google's APIs", { error: { code: 400, message: "b", status: "a" } }, "a", "b", ""],
  ["Okta", { errorCode: "a", errorSummary: "b", errorCauses: [] }, "a", "b", ""],
  ["Ping", { id: "x", code: "a", message: "b" }, "a", "b", ""],
  ["AWS", { __type: "a", message: "b" }, "a", "b", ""],
  ["a code of its own", { error_code: "a" }, "a", "", ""],
  ["numbers in place of texts", { error: 5, code: 400, message: 7 }, "", "", ""],
  ["an empty error", { error: "", code: "a" }, "a", "", ""],
];

for (const [form, json, ...words] of FORMS) {
  Deno.test(`refusals: the words of an error by ${form} are found`, () => {
    const { code, said, sub } = readRefusal({ at: "refresh", status: 400, text: "x", json });
    assertEquals([code, said, sub], words);
  });
}

Deno.test("refusals: a code of the table stays whole, where a short secret is a part of it", () => {
  const json = { error: "invalid_grant", error_description: "no grant" };
  const { code, said } = readRefusal({ at: "refresh", status: 400, text: "x", json }, ["grant"]);
  assertEquals([code, said], ["invalid_grant", "no [removed]"]);
});

/** Bodies of somebody who wants another kind than the code has, or a long search. */
const HOSTILE: [json: Record<string, unknown>, kind: RefusalKind][] = [
  [{ error: "constructor" }, "refused"],
  [{ error: "__proto__" }, "refused"],
  [{ error: ["invalid_grant"] }, "fault"],
  [{ error: { status: { a: 1 } } }, "fault"],
  [{}, "fault"],
  [{ error: "invalid_grant", error_codes: "none", suberror: {} }, "over"],
  [{ error: "E1", error_description: "client ".repeat(500_000) }, "refused"],
  [{ error: "client".repeat(500_000) }, "refused"],
];

Deno.test("refusals: no body of a strange shape or length changes a rule, or takes long", () => {
  for (const [json, kind] of HOSTILE) {
    const refusal = readRefusal({ at: "refresh", status: 400, text: "x", json });
    assertEquals(refusal.kind, kind, JSON.stringify(json).slice(0, 80));
    assert(Object.values(refusal).every((part) => String(part).length <= 2000));
  }
});

Deno.test("refusals: a redirect has a status from 300 to 399", () => {
  assertEquals([299, 300, 399, 400].map(isRedirect), [false, true, true, false]);
});

Deno.test("refusals: discovery never decides about a grant", () => {
  const at: AskedFor = "find";
  for (const error of ["invalid_grant", "slow_down", "invalid_client"]) {
    assertEquals(readRefusal({ at, status: 400, text: "x", json: { error } }).kind, "fault");
  }
  assertEquals(readRefusal({ at, status: 401, text: "" }).kind, "fault");
});

Deno.test("refusals: only an ended grant is removed, and a person is asked where that may help", () => {
  const kinds = (name: "keepsGrant" | "asksPerson") =>
    Object.entries(CONSEQUENCES).filter(([, one]) => !one[name]).map(([kind]) => kind);
  assertEquals(kinds("keepsGrant"), ["over"]);
  assertEquals(kinds("asksPerson"), ["fault", "client"]);
});
