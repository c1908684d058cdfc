import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import { createBackend, moduleUrl } from "../../../backends/load/create_backend.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { parseBackendSpec } from "../../../backends/load/backend_setting.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { SECRETS } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, sandbox } from "../../support/sandbox.ts";

const { root, folder } = sandbox();
const ORIGIN = {
  name: "VM_OIDC_CREDENTIALS_BACKEND",
  options: "VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
};
const permissions = { read: [root], write: [root], import: true };

const MODULE = `
  export class Good {
    constructor(readonly options: unknown) {}
    get() {}
    put() {}
    delete() {}
  }
  export default Good;
  export function Old(this: Record<string, unknown>) {
    for (const name of ["get", "put", "delete"]) this[name] = () => {};
  }
  export const bound = Good.bind(null);
  export const arrow = () => new Good({});
  export async function later() {}
  export const instance = new Good({});
  export const count = 7;
  export const nothing = null;
  export class NoGet { put() {} delete() {} }
  export class NoPut { get() {} delete() {} }
  export class NoDelete { get() {} put() {} }
  export class Fields { get = 1; put = {}; delete = "delete"; }
  export class Other { constructor() { return [] as never; } }
  export class Fails { constructor() { throw new Error("the server's address is missing"); } }
  export class FailsOddly { constructor() { throw "text"; } }
`;
const EXPORTS = "FailsOddly";

function writeModule(text = MODULE, name = "backend.ts"): string {
  const path = `${folder()}/${name}`;
  Deno.writeTextFileSync(path, text);
  return path;
}

/** As the variable names it, so that each test goes the whole way. */
function load(spec: string, options: Record<string, unknown> = {}): Promise<unknown> {
  const parsed = parseBackendSpec(spec, ORIGIN.name);
  assert(parsed.kind === "module");
  return createBackend(parsed, options, ORIGIN);
}

Deno.test(
  "a class is constructed with the options, from an absolute path",
  { permissions },
  async () => {
    const path = writeModule();
    const options = { url: "https://vault.example.com", deep: { list: [1] } };
    const backend = await load(`${path}:Good`, options) as { options: unknown };
    assertEquals(backend.options, options);
    assertEquals(backend.constructor.name, "Good");
    assertEquals((await load(`${path}#Good`) as object).constructor, backend.constructor);
  },
);

Deno.test("all that new takes is a class: a default export, an old function, a bound class", {
  permissions,
}, async () => {
  const path = writeModule();
  for (const name of ["default", "Old", "bound"]) {
    assert(typeof (await load(`${path}:${name}`) as { get: unknown }).get === "function", name);
  }
});

Deno.test("a relative path is taken from the working directory", async () => {
  const parent = folder();
  Deno.mkdirSync(`${parent}/sub`);
  Deno.writeTextFileSync(`${parent}/mine.ts`, MODULE);
  const code = `
    import { createBackend } from "${backendUrl("load/create_backend.ts")}";
    for (const path of Deno.args) {
      const spec = { kind: "module", specifier: path, exportName: "Good" };
      console.log((await createBackend(spec, {}, { name: "N", options: "O" })).constructor.name);
    }
  `;
  const flags = [`--allow-read=${parent}`];
  const args = ["../mine.ts", "./../sub/../mine.ts"];
  const result = await runDeno({ code, flags, args, cwd: `${parent}/sub` });
  assertEquals(result, { code: 0, stdout: "Good\nGood\n", stderr: "" });
});

Deno.test("a path and a file: URL may hold colons, hashes, spaces, percent signs and unicode", {
  permissions,
  ignore: !isPosix,
}, async () => {
  const path = writeModule(MODULE, "a:b#c d%41größe?.ts");
  assertEquals((await load(`${path}:Good`) as object).constructor.name, "Good");
  const url = new URL(`file://${path.split("/").map(encodeURIComponent).join("/")}`).href;
  assertEquals((await load(`${url}:Good`) as object).constructor.name, "Good");
  assertEquals(
    (await load(`${url.replaceAll("%3A", ":")}#Good`) as object).constructor.name,
    "Good",
  );
});

Deno.test("a path names the module that a program imports, not a second copy of it", async () => {
  const name = "~[a]^ b.ts";
  const cwd = folder();
  Deno.writeTextFileSync(`${cwd}/${name}`, MODULE);
  Deno.writeTextFileSync(
    `${cwd}/main.ts`,
    `
      import { Good } from "./${name}";
      import { createBackend } from "${backendUrl("load/create_backend.ts")}";
      const spec = { kind: "module", specifier: "./${name}", exportName: "Good" };
      console.log(await createBackend(spec, {}, { name: "N", options: "O" }) instanceof Good);
    `,
  );
  const code = `await import("${toFileUrl(`${cwd}/main.ts`).href}");`;
  const result = await runDeno({ code, flags: [`--allow-read=${cwd}`], cwd });
  assertEquals(result, { code: 0, stdout: "true\n", stderr: "" });
});

const POSIX_URLS: [path: string, url: string][] = [
  ["/srv/backend.ts", "file:///srv/backend.ts"],
  ["/srv//a/../b c.ts", "file:///srv/b%20c.ts"],
  ["/srv/100%41#1?größe.ts", "file:///srv/100%2541%231%3Fgr%C3%B6%C3%9Fe.ts"],
  ["/srv/a\\b\tc\n.ts", "file:///srv/a%5Cb%09c%0A.ts"],
  ["//srv/backend.ts", "file:///srv/backend.ts"],
  ["/srv/~[a]^|%7E.ts", "file:///srv/~[a]^|%257E.ts"],
];

const WINDOWS_URLS: [path: string, url: string][] = [
  ["C:\\srv\\backend.ts", "file:///C:/srv/backend.ts"],
  ["d:/srv/a/../b c.ts", "file:///d:/srv/b%20c.ts"],
  ["C:\\srv\\100%41#1\\größe.ts", "file:///C:/srv/100%2541%231/gr%C3%B6%C3%9Fe.ts"],
  ["C:\\Users\\ANNA~1\\backend.ts", "file:///C:/Users/ANNA~1/backend.ts"],
  ["\\\\host\\share\\backend.ts", "file://host/share/backend.ts"],
];

for (const [urls, isWindows] of [[POSIX_URLS, false], [WINDOWS_URLS, true]] as const) {
  Deno.test(`a path becomes the address of just that file, on ${isWindows ? "Windows" : "POSIX"}`, {
    permissions: "none",
  }, () => {
    for (const [path, url] of urls) assertEquals(moduleUrl(path, isWindows), url);
  });
}

Deno.test(
  "a data: URL gives a backend without any permission",
  { permissions: "none" },
  async () => {
    const source = "export class Tiny { get() {} put() {} delete() {} }";
    const backend = await load(`data:text/javascript,${encodeURIComponent(source)}:Tiny`);
    assertEquals((backend as object).constructor.name, "Tiny");
  },
);

Deno.test("a node: module and an npm: package are loaded, and judged by what they export", {
  permissions: { import: true, env: true, read: true, net: true, sys: true },
}, async () => {
  await rejectsWith("invalid_backend", () => load("node:url:URLSearchParams"), "put()");
  const spec = "npm:oauth4webapi@^3.8.8:OperationProcessingError";
  await rejectsWith("invalid_backend", () => load(spec), "get()");
  await rejectsWith(
    "backend_import_failed",
    () => load("node:no_such_module:Store"),
    "node:no_such",
  );
});

Deno.test(
  "an export that is missing is an error that lists those that are there",
  { permissions },
  async () => {
    const path = writeModule();
    await rejectsWith("backend_export_missing", () => load(`${path}:good`), path, EXPORTS, "Good");
    await rejectsWith("backend_export_missing", () => load(`${path}:toString`), EXPORTS);
    const empty = writeModule("export {};");
    await rejectsWith("backend_export_missing", () => load(`${empty}:Good`), "exports nothing");
  },
);

for (
  const [name, words] of [
    ["arrow", "not a constructor"],
    ["later", "not a constructor"],
    ["instance", "not a class"],
    ["count", "not a class"],
    ["nothing", "not a class"],
  ] as const
) {
  Deno.test(
    `an export that is no class is backend_not_constructible: ${name}`,
    { permissions },
    async () => {
      const path = writeModule();
      const fn = () => load(`${path}:${name}`);
      const error = await rejectsWith("backend_not_constructible", fn, name, path);
      assert(`${error.message} ${error.cause}`.includes(words), error.message);
    },
  );
}

for (
  const [name, method] of [
    ["NoGet", "get"],
    ["NoPut", "put"],
    ["NoDelete", "delete"],
    ["Fields", "get"],
    ["Other", "get"],
  ] as const
) {
  Deno.test(`a class without the method ${method} is invalid_backend, by that name: ${name}`, {
    permissions,
  }, async () => {
    const path = writeModule();
    await rejectsWith("invalid_backend", () => load(`${path}:${name}`), name, `${method}()`);
  });
}

Deno.test("a constructor that throws is backend_not_constructible, with its error as the cause", {
  permissions,
}, async () => {
  const path = writeModule();
  const options = { token: SECRETS.access };
  const fn = () => load(`${path}:Fails`, options);
  const error = await rejectsWith("backend_not_constructible", fn, path, "constructor failed");
  assertInstanceOf(error.cause, Error);
  assertEquals(error.cause.message, "Error: the server's address is missing");
  const odd = await rejectsWith("backend_not_constructible", () => load(`${path}:FailsOddly`));
  assertEquals((odd.cause as Error).message, "no error object");
});

Deno.test("our own error passes through a constructor as it is", {
  permissions: { ...permissions, read: true },
}, async () => {
  const path = writeModule(`
      import { CredentialsBackendError } from "${backendUrl("credentials_backend_error.ts")}";
      export class Strict {
        constructor() {
          throw new CredentialsBackendError("invalid_options", "Cannot create Strict: no. Do not.");
        }
      }
    `);
  await rejectsWith("invalid_options", () => load(`${path}:Strict`), "Cannot create Strict");
});

Deno.test("a module that is not there, or does not run, is backend_import_failed with its cause", {
  permissions,
}, async () => {
  const broken: Record<string, string> = {
    [`${folder()}/missing.ts`]: "",
    [writeModule("export class {")]: "",
    [writeModule('import "./missing_too.ts"; export class Good {}')]: "missing_too.ts",
    [writeModule('throw new Error("at its start"); export class Good {}')]: "at its start",
    [writeModule('Deno.env.get("VM_X"); export class Good {}')]: "env access",
  };
  for (const [path, cause] of Object.entries(broken)) {
    const fn = () => load(`${path}:Good`);
    const words = "did not load";
    const error = await rejectsWith("backend_import_failed", fn, path, words);
    assertInstanceOf(error.cause, Error);
    assert(error.cause.message.includes(cause), error.cause.message);
  }
});

Deno.test("a module that Deno does not permit is permission_required, by its flag", async () => {
  const path = writeModule();
  const code = `
    import { createBackend } from "${backendUrl("load/create_backend.ts")}";
    const spec = { kind: "module", specifier: Deno.args[0], exportName: "Good" };
    await createBackend(spec, ${JSON.stringify({ token: SECRETS.access })}, ${
    JSON.stringify(ORIGIN)
  })
      .catch((error) => console.log(error.code, error.message, Deno.inspect(error)));
  `;
  const { stdout, stderr } = await runDeno({ code, args: [path] });
  assertEquals(stderr, "");
  assert(stdout.startsWith("permission_required"), stdout);
  assert(stdout.includes("--allow-read") && stdout.includes(path), stdout);
  assertNoSecret(stdout);
});

const ESCAPE = "\x1b[31m";

Deno.test("a constructor's words show no piece of its options, whatever it does with them", {
  permissions,
}, async () => {
  const { access, refresh } = SECRETS;
  const path = writeModule(`
      export class Echo {
        constructor({ token, deep: [{ key }] }: Record<string, any>) {
          throw new Error("${ESCAPE}" + [
            token.slice(2), token.slice(0, 9).toLowerCase() + "/" + token.slice(3, 10),
            [...key].join("").match(/.{1,9}/g).join("\\n"), btoa(key), encodeURIComponent(token),
            "kept words",
          ].join(" "));
        }
      }
      export class Coded {
        constructor({ token }: Record<string, string>) {
          throw Object.assign(new CredentialsBackendError("backend_denied", "Cannot use " + token +
            " ${ESCAPE} now: denied. Ask."), { token, cause: new Error(token) });
        }
      }
      import { CredentialsBackendError } from "${backendUrl("credentials_backend_error.ts")}";
    `);
  const options = { token: access, deep: [{ key: refresh }], short: "i" };
  const fn = (name: string) => () => load(`${path}:${name}`, options);
  const { cause } = await rejectsWith(
    "backend_not_constructible",
    fn("Echo"),
    "constructor failed",
  );
  assertInstanceOf(cause, Error);
  assert(cause.message.endsWith("kept words"), cause.message);
  assert(!cause.message.includes(refresh.slice(0, 9)) && !cause.message.includes(btoa(refresh)));
  const coded = await rejectsWith("backend_denied", fn("Coded"), "denied. Ask.");
  for (const { message } of [cause, coded]) assert(!message.includes("\x1b"), message);
  assertEquals(coded.cause, undefined);
});

Deno.test("a name with a query, a fragment or a password is not shown with it, wherever it fails", {
  permissions,
}, async () => {
  const { access, refresh, id } = SECRETS;
  const path = writeModule();
  const addresses = [
    `file://${path}?token=${access}`,
    `file://${path}/missing.ts?token=${access}#access_token=${id}`,
    `./missing.ts?token=${access}`,
    `https://ana:${refresh}@example.com/x.ts?token=${access}`,
  ];
  for (const address of addresses) {
    const error = await assertRejects(
      () => Promise.try(load, `${address}:Nobody`),
      CredentialsBackendError,
    );
    assertNoSecret(error);
    assert(!error.message.includes("token="), error.message);
  }
});

Deno.test("the names and the words of a module are shown without control characters", {
  permissions,
}, async () => {
  const odd = writeModule(`const x = 1; export { x as "${ESCAPE}red" };`);
  const { message } = await rejectsWith("backend_export_missing", () => load(`${odd}:Good`));
  assert(!message.includes("\x1b") && message.includes("[31mred"), message);
  const path = writeModule(`throw new Error("${ESCAPE}${"x".repeat(100_000)}");`);
  const { cause } = await rejectsWith("backend_import_failed", () => load(`${path}:Good`));
  const words = (cause as Error).message;
  assert(!words.includes("\x1b") && words.length < 1_100, `${words.length}`);
});
