import { assert } from "@std/assert";
import * as fc from "fast-check";
import { redeemAuthorization } from "../../../client/provider/authorization_code_grant.ts";
import { browserAnswer, parametersIn } from "../../../client/sign_in/redirect_listener.ts";
import { exchange } from "../../../client/sign_in/connection.ts";
import { SECRETS } from "../../support/entries.ts";
import { damaged, text, texts, withoutSecrets } from "./arbitraries.ts";
import { attempt, type FuzzTarget, target } from "./fuzz_target.ts";
import { assertTokens, fakeProvider, ISSUER } from "./provider_targets.ts";

const STATE = SECRETS.extra;
const REDIRECT = "http://127.0.0.1:8400/callback";

/** The parameters of a redirect, often right in part, and in any order and number. */
const query = fc.array(
  fc.tuple(
    fc.oneof(fc.constantFrom("state", "code", "error", "error_description", "iss", "scope"), text),
    fc.oneof(fc.constantFrom(STATE, SECRETS.access, ISSUER, "access_denied"), text),
  ),
  { maxLength: 6 },
).map((pairs) => new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString());

const address = fc.oneof(
  query.map((one) => `${REDIRECT}?${one}`),
  query.map((one) => `?${one}`),
  damaged(query.map((one) => `<${REDIRECT}?${one}#x>`)),
  texts,
);

const line = fc.oneof(
  fc.constantFrom("host: 127.0.0.1:8400", "content-length: 5", "content-length: 1e9", "a:b", ""),
  fc.tuple(text, text).map(([name, value]) => `${name}: ${value}`),
  fc.tuple(text, text).map(([one, other]) => `a:x${one}${other}x`),
);

const request = fc.tuple(
  fc.oneof(
    query.map((one) => `GET /callback?${one} HTTP/1.1`),
    fc.constantFrom(
      "GET / HTTP/1.1",
      "POST /x HTTP/1.0",
      "GET http://x/ HTTP/1.1",
      "PRI * HTTP/2.0",
    ),
    text,
  ),
  fc.array(line, { maxLength: 4 }),
  texts,
  fc.integer({ min: 1, max: 5000 }),
);

/** A connection that gives these bytes in pieces, and ends. */
function connection(bytes: Uint8Array, piece: number): Deno.Conn {
  let at = 0;
  return {
    read(into: Uint8Array) {
      const part = bytes.subarray(at, at + Math.min(piece, into.length));
      into.set(part);
      at += part.length;
      return Promise.resolve(part.length === 0 ? null : part.length);
    },
    write: (out: Uint8Array) => Promise.resolve(out.length),
    closeWrite: () => Promise.resolve(),
    close() {},
  } as unknown as Deno.Conn;
}

/** What a browser, and whoever reaches its port, sends back. */
export const BROWSER_TARGETS: readonly FuzzTarget[] = [
  target("the address that a browser ends on", address, (input) => {
    const parameters = parametersIn(input);
    const fault = browserAnswer(STATE).offer(parameters);
    assert(fault !== undefined || parameters.getAll("state").join() === STATE, "another's answer");
    assert(fault !== undefined || parameters.getAll("code").length <= 1, "two codes");
  }),
  target("the parameters of a redirect", query, async (input) => {
    const authorization = {
      url: ISSUER,
      redirectUri: REDIRECT,
      state: STATE,
      verifier: SECRETS.refresh.repeat(3),
    };
    const answer = new URLSearchParams(input);
    for (const name of ["error", "error_description", "iss"]) {
      const value = answer.get(name); // words, in which nobody knows other secrets
      if (value !== null) answer.set(name, withoutSecrets(value));
    }
    if (browserAnswer(STATE).offer(answer) !== undefined) return;
    assertTokens(await attempt(() => redeemAuthorization(fakeProvider({}), authorization, answer)));
  }),
  target("a request to the port of a sign-in", request, async ([first, lines, body, piece]) => {
    const bytes = new TextEncoder().encode([first, ...lines, "", body].join("\r\n"));
    const sent = connection(bytes, piece);
    let asked = 0;
    await exchange(sent, ({ path, method }) => {
      asked++;
      assert(path.startsWith("/") && /^[A-Z]+$/.test(method), "an odd request");
      return { status: 200, body: "x" };
    });
    assert(asked <= 1, "more than one request");
  }),
];
