import { assertEquals, assertThrows } from "@std/assert";
import {
  checkIsolation,
  type IsolateOptions,
  permissionFlags,
} from "../../../backends/load/isolate_options.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";

Deno.test("permissions alone mean a Worker, with the limits of the documentation", () => {
  assertEquals(checkIsolation({ read: ["/a"], net: true }), {
    as: "worker",
    permissions: { read: ["/a"], net: true },
    startTimeoutMs: 30_000,
    callTimeoutMs: 30_000,
    lockTimeoutMs: 120_000,
  });
});

Deno.test("an empty list and false grant nothing: no flag, which would grant all", () => {
  const none = { read: [], write: false, net: [], env: [], import: false, run: [], sys: false };
  assertEquals(permissionFlags(none), []);
});

const WRONG: [what: string, options: unknown, words: string][] = [
  ["an unknown form", { as: "thread" }, 'option "as" is not one of worker, process'],
  ["an unknown member", { as: "process", raed: ["/a"] }, 'unknown option "raed"'],
  ["a time limit of 0", { callTimeoutMs: 0 }, 'option "callTimeoutMs"'],
  ["run", { as: "process", run: ["id"] }, 'cannot have "run"'],
  ["all of run", { as: "process", run: true }, 'cannot have "run"'],
  ["an inherited run", { as: "process", run: "inherit" }, 'cannot have "run"'],
  ["sys", { as: "process", sys: ["hostname"] }, 'cannot have "sys"'],
  ["ffi", { as: "process", ffi: true }, 'cannot have "ffi"'],
  ["an inherited permission", { as: "process", read: "inherit" }, '"read" is neither'],
  ["a path with a comma", { as: "process", read: ["/a,/etc"] }, '"read" is neither'],
  ["an empty path", { as: "process", write: [""] }, '"write" is neither'],
  ["a number for a host", { as: "process", net: [7] }, '"net" is neither'],
  ["a line break in a host", { as: "process", net: ["a\n--allow-all"] }, '"net" is neither'],
  [
    "a remote URL for a path",
    { as: "process", read: [new URL("https://x/")] },
    '"read" is neither',
  ],
  ["all variables", { as: "process", env: true }, '"env" is no list'],
  ["a pattern of variables", { as: "process", env: ["AWS_*"] }, '"env" has a wrong name'],
  ["a variable of the traces", { as: "process", env: ["OTEL_DENO"] }, "OTEL_DENO changes"],
  ["a variable of the loader", { as: "process", env: ["LD_PRELOAD"] }, "LD_PRELOAD changes"],
  ["a variable of Deno", { as: "process", env: ["DENO_DIR"] }, "DENO_DIR changes"],
  ["V8's flags", { as: "process", env: ["deno_v8_flags"] }, "deno_v8_flags changes"],
  ["a variable of Node", { as: "process", env: ["NODE_OPTIONS"] }, "NODE_OPTIONS changes"],
  ["the temporary folder", { as: "process", env: ["TMPDIR"] }, "TMPDIR changes"],
];

for (const [what, options, words] of WRONG) {
  Deno.test(`\`isolate\` with ${what} is invalid_options`, () => {
    const check = () => checkIsolation(options as IsolateOptions);
    const error = assertThrows(check, CredentialsBackendError, words);
    assertEquals(error.code, "invalid_options");
  });
}

Deno.test("variables for certificates may be named", () => {
  const options = { as: "process", env: ["DENO_CERT", "DENO_TLS_CA_STORE"] } as const;
  checkIsolation({ ...options, env: [...options.env] });
});
