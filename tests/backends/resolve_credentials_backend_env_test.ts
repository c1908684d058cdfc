import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import {
  loadBackendFromEnv,
  resolveCredentialsBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { BACKEND_VARIABLES, readBackendChoice } from "../../backends/common/platform.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";
import { withEnv } from "../support/own_env.ts";

const { root, folder } = sandbox();
const ALL = Object.values(BACKEND_VARIABLES);
const permissions = { env: [...ALL, "HOME", "USERPROFILE", "VM_TEST_USER"] };

function load(
  backend?: string,
  kwargs?: unknown,
  more: Record<string, string> = {},
): ReturnType<typeof loadBackendFromEnv> {
  return withEnv({
    ...(backend !== undefined && { VM_OIDC_CREDENTIALS_BACKEND: backend }),
    ...(kwargs !== undefined && {
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: typeof kwargs === "string"
        ? kwargs
        : JSON.stringify(kwargs),
    }),
    ...more,
  }, loadBackendFromEnv);
}

Deno.test("an environment that names no backend gives undefined", { permissions }, async () => {
  assertEquals(await load(), undefined);
  for (const blank of ["", " ", "\t\n"]) {
    assertEquals(await load(blank), undefined);
    assertEquals(await load(blank, blank), undefined);
    assertInstanceOf(await load("memory", blank), MemoryCredentialsBackend);
  }
});

Deno.test("the choice names the variables that it needs, as far as they may be read", {
  permissions: "none",
}, () => {
  const { noPersist, ownName, ownOptions, name: backend, options: kwargs } = BACKEND_VARIABLES;
  const choose = (known: Record<string, string | undefined>) =>
    readBackendChoice((variable) => variable in known ? known[variable] : null);
  assertEquals(choose({ [noPersist]: "yes" }), {
    name: "memory",
    by: noPersist,
    variables: [noPersist],
  });
  const named = { name: "kv", by: backend, options: kwargs };
  const toName = [noPersist, ownName, backend, kwargs];
  assertEquals(choose({ [backend]: "kv" }), { ...named, variables: toName });
  const noOwn = { [noPersist]: "0", [ownName]: "", [ownOptions]: "" };
  const all = [noPersist, ownName, ownOptions, backend, kwargs];
  assertEquals(choose({ ...noOwn, [backend]: "kv" }), { ...named, variables: all });
  const own = { name: "file", by: ownName, options: ownOptions };
  const variables = [noPersist, ownName, ownOptions];
  assertEquals(choose({ [ownName]: "file", [backend]: "a.b:C" }), { ...own, variables });
  const unknown = { variables: [noPersist, ownName, backend] };
  assertEquals(choose({}), unknown);
  const none = { [noPersist]: undefined, [ownName]: undefined, [backend]: undefined };
  for (const denied of Object.keys(none)) {
    const { [denied]: _, ...others } = none as Record<string, undefined>;
    assertEquals(choose(others), unknown);
  }
  const { name, variables: needed } = choose(none);
  assertEquals([name, needed.length], ["file", 4]);
});

Deno.test(
  "VM_OIDC_NO_PERSIST that says yes gives memory, whatever else is named",
  { permissions },
  async () => {
    const settings = { VM_OIDC_NO_PERSIST: " Yes\n" };
    assertInstanceOf(await load(undefined, undefined, settings), MemoryCredentialsBackend);
    assertInstanceOf(await load("no such", "no JSON", settings), MemoryCredentialsBackend);
  },
);

Deno.test("VM_OIDC_NO_PERSIST that is empty or says no leaves the choice to the other variables", {
  permissions,
}, async () => {
  for (const value of ["", "No", "  "]) {
    const settings = { VM_OIDC_NO_PERSIST: value };
    assertEquals(await load(undefined, undefined, settings), undefined);
    assertInstanceOf(await load("file", undefined, settings), FileCredentialsBackend);
  }
});

Deno.test("VM_OIDC_NO_PERSIST with another word is refused, since a rule must not be missed", {
  permissions,
}, async () => {
  for (const value of ["2", "on", SECRETS.access]) {
    const fn = () => load("file", undefined, { VM_OIDC_NO_PERSIST: value });
    await rejectsWith("env_invalid", fn, "VM_OIDC_NO_PERSIST", "1, true or yes", "unset it");
  }
});

Deno.test(
  "a built-in name gives its backend, with white space around it too",
  { permissions },
  async () => {
    assertInstanceOf(await load("file"), FileCredentialsBackend);
    assertInstanceOf(await load("memory"), MemoryCredentialsBackend);
    assertInstanceOf(await load("kv"), KvCredentialsBackend);
    assertInstanceOf(await load(" memory\n"), MemoryCredentialsBackend);
    assertInstanceOf(await load("memory", ""), MemoryCredentialsBackend);
  },
);

Deno.test("a built-in backend gets the KWARGS as its options, with variables put in", {
  permissions,
}, async () => {
  const kwargs = { path: "/shared/${VM_TEST_USER}/c.json", lockTimeoutMs: 5 };
  const backend = await load("file", kwargs, { VM_TEST_USER: "ana" });
  assertInstanceOf(backend, FileCredentialsBackend);
  assertEquals(backend.path, "/shared/ana/c.json");
  assertEquals((await load("kv", { path: "/shared/kv.db" }))?.location, "/shared/kv.db");
  assertInstanceOf(await load("memory", {}), MemoryCredentialsBackend);
});

Deno.test("equal settings give one instance, so that a second init finds what the first stored", {
  permissions,
}, async () => {
  const both = () => Promise.all([loadBackendFromEnv(), loadBackendFromEnv()]);
  const [one, other] = await withEnv({ VM_OIDC_CREDENTIALS_BACKEND: "memory" }, both);
  assertStrictEquals(one, other);
  await one?.put(KEY, entry());
  assertEquals(await (await load(" memory "))?.get(KEY), entry());
  await one?.delete(KEY);
  const kwargs = { path: "/one/c.json" };
  assertStrictEquals(await load("file", kwargs), await load("file", kwargs));
  const off = { VM_OIDC_NO_PERSIST: "1" };
  assertStrictEquals(
    await load("", "", off),
    await load("kv", "", { VM_OIDC_NO_PERSIST: "yes" }),
  );
});

Deno.test("different settings give different instances", { permissions }, async () => {
  const path = "/${VM_TEST_USER}/c.json";
  const of = (user: string) => load("file", { path }, { VM_TEST_USER: user });
  assertNotStrictEquals(await of("ana"), await of("ben"));
  assertNotStrictEquals(await load("kv", { path: "/a.db" }), await load("kv", { path: "/b.db" }));
  const memory = await load("memory");
  assertNotStrictEquals(memory, await load("", "", { VM_OIDC_NO_PERSIST: "1" }));
});

Deno.test("a load that failed is tried again", {
  permissions: { env: permissions.env, read: [root], write: [root], import: true },
}, async () => {
  const path = `${folder()}/flaky.ts`;
  Deno.writeTextFileSync(
    path,
    `let tries = 0;
      export class Flaky {
        constructor() { if (tries++ === 0) throw new Error("not yet"); }
        get() {} put() {} delete() {}
      }`,
  );
  const spec = `${path}:Flaky`;
  await rejectsWith("backend_not_constructible", () => load(spec), path);
  const backend = await load(spec);
  assert(backend !== undefined);
  assertStrictEquals(await load(spec), backend);
});

for (const backend of [undefined, "", " ", "\t\n"]) {
  Deno.test(
    `options without a name are refused, and no plain file is used: ${JSON.stringify(backend)}`,
    { permissions },
    async () => {
      const kwargs = { address: SECRETS.access };
      await rejectsWith(
        "backend_spec_invalid",
        () => load(backend, kwargs),
        BACKEND_VARIABLES.name,
      );
      await rejectsWith("backend_spec_invalid", () => {
        return withEnv({
          ...(backend !== undefined && { [BACKEND_VARIABLES.name]: backend }),
          [BACKEND_VARIABLES.options]: JSON.stringify(kwargs),
          HOME: "/nowhere",
        }, () => resolveCredentialsBackend());
      });
      const memory = await load(backend, kwargs, { VM_OIDC_NO_PERSIST: "1" });
      assertInstanceOf(memory, MemoryCredentialsBackend);
    },
  );
}

Deno.test(
  "this module's own variables win over those that the Python library reads, whatever these say",
  { permissions },
  async () => {
    const { ownName, ownOptions } = BACKEND_VARIABLES;
    const python = ["acme.credentials:Store", "no JSON"] as const;
    const own = { [ownName]: "file", [ownOptions]: '{"path": "/srv/own.json"}' };
    const backend = await load(...python, own);
    assertInstanceOf(backend, FileCredentialsBackend);
    assertEquals(backend.path, "/srv/own.json");
    // The other name's options are not for this backend.
    assertInstanceOf(
      await load("kv", { path: 1 }, { [ownName]: "memory" }),
      MemoryCredentialsBackend,
    );
    // Where it is empty, the other one counts.
    assertInstanceOf(await load("memory", undefined, { [ownName]: "" }), MemoryCredentialsBackend);
    await rejectsWith("backend_spec_invalid", () => load(...python), "Python", ownName);
    await rejectsWith(
      "backend_spec_invalid",
      () => load("kv", undefined, { [ownName]: "kw" }),
      ownName,
    );
    const wrong = { [ownName]: "file", [ownOptions]: "{" };
    await rejectsWith(
      "backend_kwargs_invalid",
      () => load(undefined, undefined, wrong),
      ownOptions,
    );
    const alone = { [ownOptions]: '{"path": "/srv/own.json"}' };
    const fault = `${ownOptions} is set, and ${ownName} is empty or not set`;
    await rejectsWith("backend_spec_invalid", () => load("file", undefined, alone), fault);
    const memory = await load(...python, { ...own, VM_OIDC_NO_PERSIST: "1" });
    assertInstanceOf(memory, MemoryCredentialsBackend);
  },
);

Deno.test("options beside an empty name have to be readable, so that none is missed", async () => {
  const { noPersist, ownName, ownOptions, name: shared, options } = BACKEND_VARIABLES;
  for (const [backend, kwargs] of [[ownName, ownOptions], [shared, options]] as const) {
    const env = { [backend]: "", [kwargs]: SECRETS.access };
    const text = await inChild([noPersist, ownName, shared], env);
    assert(text.startsWith("permission_required") && text.endsWith(`${kwargs}.`), text);
    assertEquals(await inChild(ALL, { [backend]: "", [kwargs]: "" }), "undefined");
  }
});

const child = `
  import { loadBackendFromEnv } from "${backendUrl("resolve_credentials_backend.ts")}";
  try {
    console.log((await loadBackendFromEnv())?.constructor.name);
  } catch (error) {
    console.log(error.code, error.message);
  }
`;

async function inChild(allowed: string[], env: Record<string, string>): Promise<string> {
  const flags = allowed.length === 0 ? [] : [`--allow-env=${allowed}`];
  const { stdout, stderr } = await runDeno({ code: child, flags, env });
  assertEquals(stderr, "");
  assertNoSecret(stdout, [SECRETS.access]);
  return stdout.trim();
}

Deno.test("a variable that is needed and denied is permission_required, by its flag", async () => {
  const { noPersist, ownName, name: backend, options: kwargs } = BACKEND_VARIABLES;
  const env = { [backend]: "memory", [kwargs]: "{}" };
  const denied = (name: string) =>
    `permission_required Cannot choose a credentials backend: the environment variable ${name} ` +
    `may not be read. Run with --allow-env=${name}.`;
  assertEquals(await inChild([], env), denied(noPersist));
  assertEquals(await inChild([noPersist], env), denied(ownName));
  assertEquals(await inChild([noPersist, ownName], env), denied(backend));
  assertEquals(
    await inChild([noPersist, ownName, backend], env),
    denied(kwargs).replace("choose a credentials backend", "read the backend's options"),
  );
  assertEquals(await inChild(ALL, env), "MemoryCredentialsBackend");
});

Deno.test("no variable is read that the choice does not need", async () => {
  const { noPersist, ownName, ownOptions, name: backend, options: kwargs } = BACKEND_VARIABLES;
  const env = { [backend]: "memory", [kwargs]: SECRETS.access };
  assertEquals(
    await inChild([noPersist], { ...env, [noPersist]: "1" }),
    "MemoryCredentialsBackend",
  );
  assertEquals(
    await inChild([noPersist, ownName, ownOptions], { ...env, [ownName]: "memory" }),
    "MemoryCredentialsBackend",
  );
  assertEquals(
    await inChild([noPersist, ownName, backend], { [kwargs]: SECRETS.access }),
    "undefined",
  );
});

Deno.test("a variable in the KWARGS that is denied is permission_required, by its name", async () => {
  const env = {
    VM_OIDC_CREDENTIALS_BACKEND: "file",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "/${VM_TEST_USER}/c.json"}',
    VM_TEST_USER: SECRETS.access,
  };
  const text = await inChild(ALL, env);
  assert(text.startsWith("permission_required"), text);
  assert(text.endsWith("Run with --allow-env=VM_TEST_USER."), text);
  assertEquals(
    await inChild([...ALL, "VM_TEST_USER"], env),
    "FileCredentialsBackend",
  );
});
