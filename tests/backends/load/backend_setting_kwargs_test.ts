import { variablesIn } from "../../../backends/common/platform.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseBackendKwargs } from "../../../backends/load/backend_setting.ts";
import { SECRETS } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withEnv } from "../../support/own_env.ts";

const NAME = "VM_OIDC_CREDENTIALS_BACKEND_KWARGS";
const permissions = { env: ["VM_TEST_A", "VM_TEST_B", NAME] };

function read(text: string, env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  return withEnv(env, () => parseBackendKwargs(text, NAME));
}

Deno.test("an empty object is no options", { permissions }, async () => {
  assertEquals(await read(" {} "), {});
});

Deno.test("KWARGS keep every kind of JSON value", { permissions }, async () => {
  const value = {
    s: "text",
    n: -1.5e3,
    t: true,
    z: null,
    list: [1, ["2"], {}],
    o: { deep: "x" },
  };
  assertEquals(await read(JSON.stringify(value)), value);
  const odd = await read('{"__proto__": {"polluted": 1}, "constructor": "c"}');
  assertEquals(Object.getOwnPropertyNames(odd), ["__proto__", "constructor"]);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test(
  "a ${NAME} is put in wherever a string stands, and only once",
  { permissions },
  async () => {
    const env = { VM_TEST_A: "ana", VM_TEST_B: "${VM_TEST_A}$&" };
    const value = {
      path: "/home/${VM_TEST_A}/x/${VM_TEST_A}",
      deep: [{ list: ["${VM_TEST_A}", 1] }],
      "${VM_TEST_A}": "$VM_TEST_A $ { $$ $}",
      again: "${VM_TEST_B}",
    };
    assertEquals(await read(JSON.stringify(value), env), {
      path: "/home/ana/x/ana",
      deep: [{ list: ["ana", 1] }],
      "${VM_TEST_A}": "$VM_TEST_A $ { $$ $}",
      again: "${VM_TEST_A}$&",
    });
  },
);

Deno.test(
  "KWARGS that are no JSON object are refused without being shown",
  { permissions },
  async () => {
    const secret = SECRETS.access;
    const texts = [
      `{"token": "${secret}"`,
      `{"token": "${secret}"}}`,
      `{'token': '${secret}'}`,
      `{"token": ${secret}}`,
      secret,
      `["${secret}"]`,
      `"${secret}"`,
      "null",
      "7",
      "   ",
    ];
    for (const text of texts) {
      const error = await rejectsWith("backend_kwargs_invalid", () => read(text), NAME);
      assertEquals(error.cause, undefined);
      const home = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";
      assertStringIncludes(error.message, `{"path": "\${${home}}/credentials.json"}`);
    }
  },
);

Deno.test(
  "a variable that is not set, or empty, is env_unset, by its name",
  { permissions },
  async () => {
    const text = JSON.stringify({
      token: SECRETS.access,
      auth: { users: ["x", "${VM_TEST_A}"] },
    });
    const words = [NAME, "VM_TEST_A"];
    await rejectsWith("env_unset", () => read(text), ...words);
    await rejectsWith("env_unset", () => read(text, { VM_TEST_A: "" }), ...words);
  },
);

for (const name of ["", " ", "1A", "A-B", "A B", "A=B", "$", `p${SECRETS.extra}!`, "größe"]) {
  Deno.test(
    `a reference to \${${name.slice(0, 5)}} is refused, and not shown`,
    { permissions },
    async () => {
      const text = JSON.stringify({ auth: { password: `${SECRETS.access}\${${name}}` } });
      await rejectsWith("backend_kwargs_invalid", () => read(text), "does not name a variable");
    },
  );
}

Deno.test(
  "a variable that may not be read is permission_required, by its flag",
  { permissions },
  async () => {
    const text = JSON.stringify({ token: SECRETS.access, path: "${NOT_OURS}" });
    await rejectsWith("permission_required", () => read(text), "--allow-env=NOT_OURS");
  },
);

Deno.test("the variables of KWARGS are those that reading them takes, each once", {
  permissions: "none",
}, () => {
  assertEquals(variablesIn('{"a": "${A}/${B_1}", "b": [{"c": "${A}"}], "${KEY}": 1}'), [
    "A",
    "B_1",
  ]);
  assertEquals(variablesIn('{"a": "${}${1A}${A-B}$A"}'), []);
  assertEquals(variablesIn('{"a": "\\u0024{A}"}'), ["A"]);
  assertEquals(variablesIn("no JSON ${A}"), []);
});
