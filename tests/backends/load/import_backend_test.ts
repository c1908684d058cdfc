import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import { BACKEND_VARIABLES } from "../../../backends/common/backend_choice.ts";
import { moduleNeeds, moduleUrl } from "../../../backends/load/import_backend.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { load } from "./load_from_env.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { SECRETS } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";

const { root, folder } = sandbox();
const ESCAPE = "\x1b[31m";
const MODULE = `
  import { CredentialsBackendError } from "${backendUrl("credentials_backend_error.ts")}";
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
  export const nothing = null;
  export class NoGet { put() {} delete() {} }
  export class Fields { get = 1; put = {}; delete = "delete"; }
  export class Other { constructor() { return [] as never; } }
  export class Fails { constructor() { throw new Error("the server's address is missing"); } }
  export class Opens { constructor({ path }: { path: string }) { Deno.openSync(path); } }
  export class ReadsAll { constructor() { Deno.env.toObject(); } }
  export class FailsOddly { constructor() { throw "text"; } }
  export class Strict {
    constructor() {
      const parts = { action: "create Strict", reason: "no", remedy: "Do not." };
      throw new CredentialsBackendError("invalid_options", parts);
    }
  }
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
      const action = "use " + token + " ${ESCAPE} now";
      const parts = { action, reason: "denied", remedy: "Ask.", cause: new Error(token) };
      throw Object.assign(new CredentialsBackendError("backend_denied", parts), { token });
    }
  }
  const x = 1;
  export { x as "${ESCAPE}red" };
`;

function writeModule(text = MODULE, name = "backend.ts"): string {
  const path = `${folder()}/${name}`;
  Deno.writeTextFileSync(path, text);
  return path;
}

const path = writeModule();

const test = testWith(
  { permissions: { env: true, read: true, write: [root], import: true } },
  "a store of one's own: ",
);

test("a class is constructed with the options, from an absolute path", async () => {
  const options = { url: "https://vault.example.com", deep: { list: [1] } };
  const backend = await load(`${path}:Good`, options);
  assertEquals((backend as unknown as { options: unknown }).options, options);
  assertEquals((await load(`${path}#Good`))?.constructor, backend?.constructor);
  for (const name of ["default", "Old", "bound"]) { // all that new takes is a class
    assert(typeof (await load(`${path}:${name}`))?.get === "function", name);
  }
});

Deno.test("a store of one's own: a relative path is taken from the working directory, and is no second copy", async () => {
  const parent = folder();
  const name = "~[a]^ b.ts";
  Deno.mkdirSync(`${parent}/sub`);
  Deno.writeTextFileSync(`${parent}/${name}`, MODULE);
  const main = `
    import { Good } from "./${name}";
    import { loadBackendFromEnv } from "${backendUrl("resolve_credentials_backend.ts")}";
    for (const path of ["../${name}", "./../sub/../${name}"]) {
      Deno.env.set("VM_OIDC_CREDENTIALS_BACKEND", path + ":Good");
      console.log(await loadBackendFromEnv() instanceof Good);
    }
  `;
  Deno.writeTextFileSync(`${parent}/main.ts`, main);
  const code = `await import("${toFileUrl(`${parent}/main.ts`).href}");`;
  const flags = [`--allow-read=${parent}`, "--allow-env"];
  const result = await runDeno({ code, flags, cwd: `${parent}/sub` });
  assertEquals(result, { code: 0, stdout: "true\ntrue\n", stderr: "" });
});

const POSIX_URLS: [path: string, url: string][] = [
  ["/srv/backend.ts", "file:///srv/backend.ts"],
  ["/srv//a/../b c.ts", "file:///srv/b%20c.ts"],
  ["/srv/100%41#1?größe.ts", "file:///srv/100%2541%231%3Fgr%C3%B6%C3%9Fe.ts"],
  ["/srv/a\\b\tc\n.ts", "file:///srv/a%5Cb%09c%0A.ts"],
  ["//srv/backend.ts", "file:///srv/backend.ts"],
  ["/srv/~[a]^|%7E.ts", "file:///srv/~[a]^|%257E.ts"],
];

Deno.test("a store of one's own: its files need read, also those that import each other", async () => {
  const place = folder();
  const [one, other] = ["one", "other"].map((name) => `${place}/${name}.ts`) as [string, string];
  await Deno.writeTextFile(one, 'import "./other.ts";');
  await Deno.writeTextFile(other, '/*\nimport "./none.ts";\n*/\nimport "./one.ts";');
  assertEquals(
    moduleNeeds(toFileUrl(one).href),
    [one, other].map((path) => ({ name: "read", path })),
  );
});

Deno.test("a path becomes the address of just that file", () => {
  for (const [path, url] of POSIX_URLS) assertEquals(moduleUrl(path), url);
});

test("data:, node: and npm: are loaded, and judged by what they export", async () => {
  const source = "export class Tiny { get() {} put() {} delete() {} }";
  const tiny = await load(`data:text/javascript,${encodeURIComponent(source)}:Tiny`);
  assertEquals(tiny?.constructor.name, "Tiny");
  await rejectsWith("invalid_backend", () => load("node:url:URLSearchParams"), "put()");
  const spec = "npm:oauth4webapi@^3.8.8:OperationProcessingError";
  await rejectsWith("invalid_backend", () => load(spec), "get()");
  await rejectsWith("backend_export_missing", () => load("data:,:Store"), "exports nothing. Name");
  const none = () => load("node:no_such_module:Store");
  await rejectsWith("backend_import_failed", none, "node:no_such");
});

const REFUSED: [name: string, code: CredentialsBackendError["code"], ...words: string[]][] = [
  ["good", "backend_export_missing", "FailsOddly", "Good", "[31mred"],
  ["toString", "backend_export_missing", "FailsOddly"],
  ["arrow", "backend_not_constructible", "See the cause"],
  ["later", "backend_not_constructible", "See the cause"],
  ["instance", "backend_not_constructible", "not a class"],
  ["nothing", "backend_not_constructible", "not a class"],
  ["NoGet", "invalid_backend", "get()"],
  ["Fields", "invalid_backend", "get()"],
  ["Other", "invalid_backend", "get()"],
  ["Fails", "backend_not_constructible", "constructor failed", "_KWARGS"],
  ["FailsOddly", "backend_not_constructible", "constructor failed"],
  ["Strict", "invalid_options", "Cannot create Strict"],
];

const CAUSES: Record<string, string> = {
  arrow: "not a constructor",
  later: "not a constructor",
  Fails: "the server's address is missing",
  FailsOddly: "text",
};

for (const [name, code, ...words] of REFUSED) {
  test(`an export that is no class of a store is ${code}, by its name: ${name}`, async () => {
    const shown = code === "invalid_options" ? [] : [name === "toString" ? "toString" : name, path];
    const error = await rejectsWith(code, () => load(`${path}:${name}`), ...shown, ...words);
    assert(!error.message.includes("\x1b"), error.message);
    const cause = error.cause as Error | undefined;
    assertEquals(cause?.message.includes(CAUSES[name] ?? "") ?? name in CAUSES, name in CAUSES);
  });
}

test("a module that is not there, or does not run, is backend_import_failed with its cause", async () => {
  const broken: [path: string, cause: string][] = [
    [`${folder()}/missing.ts`, ""],
    [writeModule("export class {"), ""],
    [writeModule('import "./missing_too.ts"; export class Good {}'), "missing_too.ts"],
    [writeModule('throw new Error("at its start"); export class Good {}'), "at its start"],
    [writeModule('Deno.writeTextFileSync("/x", ""); export class Good {}'), "write access"],
  ];
  for (const [path, cause] of broken) {
    const fn = () => load(`${path}:Good`);
    const error = await rejectsWith("backend_import_failed", fn, path, "did not load");
    assertInstanceOf(error.cause, Error);
    assert(error.cause.message.includes(cause), error.cause.message);
  }
  const empty = writeModule("export {};");
  await rejectsWith("backend_export_missing", () => load(`${empty}:Good`), "exports nothing");
  const long = writeModule(`throw new Error("${ESCAPE}${"x".repeat(100_000)}");`);
  const { cause } = await rejectsWith("backend_import_failed", () => load(`${long}:Good`));
  const words = (cause as Error).message;
  assert(!words.includes("\x1b") && words.length < 1_100, `${words.length}`);
});

Deno.test("a store of one's own: what Deno denies its constructor is named with the flag", {
  permissions: { env: Object.values(BACKEND_VARIABLES), read: [path], import: true },
}, async () => {
  const opens = () => load(`${path}:Opens`, { path: "/srv/team store.db" });
  const flag = "--allow-read=/srv/team store.db";
  await rejectsWith("permission_required", opens, "Opens", "its constructor", flag);
  const readsAll = () => load(`${path}:ReadsAll`);
  await rejectsWith("permission_required", readsAll, "--allow-env;");
});

test("a constructor's words show no piece of its options, whatever it does with them", async () => {
  const { access, refresh } = SECRETS;
  const options = { token: access, deep: [{ key: refresh }], short: "i" };
  const fn = (name: string) => () => load(`${path}:${name}`, options);
  const failed = "backend_not_constructible";
  const { cause } = await rejectsWith(failed, fn("Echo"), "constructor failed");
  assertInstanceOf(cause, Error);
  assert(cause.message.endsWith("kept words"), cause.message);
  assert(!cause.message.includes(refresh.slice(0, 9)) && !cause.message.includes(btoa(refresh)));
  const coded = await rejectsWith("backend_denied", fn("Coded"), "denied. Ask.");
  for (const { message } of [cause, coded]) assert(!message.includes("\x1b"), message);
  assertEquals((coded.cause as Error).message, "[removed]");
});

test("a name with a query, a fragment or a password is not shown with it, wherever it fails", async () => {
  const { access, refresh, id } = SECRETS;
  const addresses = [
    `file://${path}?token=${access}`,
    `file://${path}/missing.ts?token=${access}#access_token=${id}`,
    `./missing.ts?token=${access}`,
    `https://ana:${refresh}@example.com/x.ts?token=${access}`,
  ];
  for (const address of addresses) {
    const fn = () => Promise.try(load, `${address}:Nobody`);
    const { code, message } = await assertRejects(fn, CredentialsBackendError);
    await rejectsWith(code, fn); // which looks for secrets
    assert(!message.includes("token="), message);
  }
});
