import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { BACKEND_VARIABLES, readBackendChoice } from "../../backends/common/backend_choice.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  loadBackendFromEnv,
  resolveCredentialsBackend,
  setDefaultBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { entry, KEY, SECRETS } from "../support/entries.ts";
import { withEnv } from "../support/own_env.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";
import { withTempHome } from "../support/temp_home.ts";
import { testWith } from "../support/test_with.ts";
import { load } from "./load/load_from_env.ts";

const { root, folder } = sandbox();
const { noPersist, ownName, ownOptions, name: shared, options } = BACKEND_VARIABLES;
const ALL = Object.values(BACKEND_VARIABLES);
const env = [...ALL, "HOME", "USERPROFILE", "VM_TEST_USER"];

const PREFIX = "chosen store: ";
const test = Object.assign(testWith({ permissions: { env } }, PREFIX), {
  bare: testWith({ permissions: "none" }, PREFIX),
  ofModule: testWith({ permissions: { env, read: [root], write: [root], import: true } }, PREFIX),
});

test("an environment that names none gives undefined, and the file of the home folder", async () => {
  assertEquals([await load(), await load("")], [undefined, undefined]);
  const file = await withEnv({ HOME: "/home/ana" }, () => resolveCredentialsBackend());
  assertInstanceOf(file, FileCredentialsBackend);
});

Deno.test("chosen store: the file of the home folder is not touched yet, and another home has another", () =>
  withTempHome((home) =>
    withEnv({}, async () => {
      const backend = await resolveCredentialsBackend();
      assertInstanceOf(backend, FileCredentialsBackend);
      assertEquals([backend.path.startsWith(home), namesIn(home)], [true, []]);
      await withTempHome(async () => {
        assertNotStrictEquals(await resolveCredentialsBackend(), backend);
      });
    })
  ));

test("the argument comes before the default, the environment and the file", async () => {
  const [argument, byDefault] = [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()];
  try {
    setDefaultBackend(byDefault);
    await withEnv({ [shared]: "memory" }, async () => {
      assertStrictEquals(await resolveCredentialsBackend(argument), argument);
      assertStrictEquals(await resolveCredentialsBackend(), byDefault);
      setDefaultBackend(undefined);
      const named = await resolveCredentialsBackend();
      assertInstanceOf(named, MemoryCredentialsBackend);
      assertEquals([argument, byDefault].includes(named), false);
    });
  } finally {
    setDefaultBackend(undefined);
  }
});

test.bare("what is no backend is invalid_backend, and the default that is set stays", async () => {
  const backend = new MemoryCredentialsBackend();
  setDefaultBackend(backend); // the environment is not looked at
  try {
    const wrong = { get() {}, put() {} } as unknown as OidcCredentialsBackend;
    const resolve = () => resolveCredentialsBackend(wrong);
    await rejectsWith("invalid_backend", resolve, "Cannot use credentialsBackend");
    const set = () => setDefaultBackend(wrong);
    await rejectsWith("invalid_backend", set, "Cannot use the default as a credentials backend");
    assertStrictEquals(await resolveCredentialsBackend(), backend);
    setDefaultBackend(null);
    assertEquals(getDefaultBackend(), undefined);
  } finally {
    setDefaultBackend(undefined);
  }
});

test.bare("the choice names the variables that it needs, as far as they may be read", () => {
  const choose = (known: Record<string, string | undefined>) =>
    readBackendChoice((variable) => variable in known ? known[variable] : null);
  const memory = { name: "memory", by: noPersist, variables: [noPersist] };
  assertEquals(choose({ [noPersist]: "yes" }), memory);
  const named = { name: "kv", by: shared, options };
  const toName = [noPersist, ownName, shared, options];
  assertEquals(choose({ [shared]: "kv" }), { ...named, variables: toName });
  const noOwn = { [noPersist]: "0", [ownName]: "", [ownOptions]: "" };
  const all = [noPersist, ownName, ownOptions, shared, options];
  assertEquals(choose({ ...noOwn, [shared]: "kv" }), { ...named, variables: all });
  const own = { name: "file", by: ownName, options: ownOptions };
  const variables = [noPersist, ownName, ownOptions];
  assertEquals(choose({ [ownName]: "file", [shared]: "a.b:C" }), { ...own, variables });
  const unknown = { variables: [noPersist, ownName, shared] };
  assertEquals(choose({}), unknown);
  const none = { [noPersist]: undefined, [ownName]: undefined, [shared]: undefined };
  for (const denied of Object.keys(none)) {
    const { [denied]: _, ...others } = none as Record<string, undefined>;
    assertEquals(choose(others), unknown);
  }
  const { name, variables: needed } = choose(none);
  assertEquals([name, needed.length], ["file", 4]);
});

test("VM_OIDC_NO_PERSIST that says yes gives memory, and no leaves the choice; no rule is missed", async () => {
  const yes = { [noPersist]: " Yes\n" };
  assertInstanceOf(await load(undefined, undefined, yes), MemoryCredentialsBackend);
  assertInstanceOf(await load("no such", "no JSON", yes), MemoryCredentialsBackend);
  for (const value of ["", "No", "  "]) {
    const no = { [noPersist]: value };
    assertEquals(await load(undefined, undefined, no), undefined);
    assertInstanceOf(await load("file", undefined, no), FileCredentialsBackend);
  }
  for (const value of ["2", "on", SECRETS.access]) {
    const odd = { [noPersist]: value };
    const words = [noPersist, "1, true or yes", "unset it"];
    await rejectsWith("env_invalid", () => load("file", undefined, odd), ...words);
    const resolve = () => withEnv(odd, () => resolveCredentialsBackend());
    await rejectsWith("env_invalid", resolve); // and not the file
  }
});

test("a built-in name gives its backend, with the KWARGS as its options", async () => {
  assertInstanceOf(await load("file"), FileCredentialsBackend);
  assertInstanceOf(await load(" memory\n", ""), MemoryCredentialsBackend);
  assertInstanceOf(await load("kv"), KvCredentialsBackend);
  const kwargs = { path: "/shared/${VM_TEST_USER}/c.json", lockTimeoutMs: 5 };
  const backend = await load("file", kwargs, { VM_TEST_USER: "ana" });
  assertEquals(backend?.location, "/shared/ana/c.json");
  assertEquals((await load("kv", { path: "/shared/kv.db" }))?.location, "/shared/kv.db");
  const redis = () => withEnv({ [shared]: "redis" }, () => resolveCredentialsBackend());
  await rejectsWith("backend_spec_invalid", redis); // and not the file
});

test("equal settings give one instance, so that a second init finds what the first stored", async () => {
  const both = () => Promise.all([loadBackendFromEnv(), loadBackendFromEnv()]);
  const [one, other] = await withEnv({ [shared]: "memory" }, both);
  assertStrictEquals(one, other);
  await one?.put(KEY, entry());
  assertEquals(await (await load(" memory "))?.get(KEY), entry());
  await one?.delete(KEY);
  const off = await load("", "", { [noPersist]: "1" });
  assertStrictEquals(off, await load("kv", "", { [noPersist]: "yes" }));
  const path = "/${VM_TEST_USER}/c.json";
  const of = (user: string) => load("file", { path }, { VM_TEST_USER: user });
  assertStrictEquals(await of("ana"), await of("ana"));
  assertNotStrictEquals(await of("ana"), await of("ben"));
});

test.ofModule("a load that failed is tried again", async () => {
  const path = `${folder()}/flaky.ts`;
  const code = `
    let tries = 0;
    export class Flaky {
      constructor() { if (tries++ === 0) throw new Error("not yet"); }
      get() {} put() {} delete() {}
    }`;
  Deno.writeTextFileSync(path, code);
  await rejectsWith("backend_not_constructible", () => load(`${path}:Flaky`), path);
  const backend = await load(`${path}:Flaky`);
  assert(backend !== undefined);
  assertStrictEquals(await load(`${path}:Flaky`), backend);
});

test("options without a name are refused, and no plain file is used", async () => {
  const kwargs = { address: SECRETS.access };
  for (const backend of [undefined, "", " ", "\t\n"]) {
    await rejectsWith("backend_spec_invalid", () => load(backend, kwargs), shared);
    const variables = {
      ...(backend !== undefined && { [shared]: backend }),
      [options]: JSON.stringify(kwargs),
      HOME: "/nowhere",
    };
    const resolve = () => withEnv(variables, () => resolveCredentialsBackend());
    await rejectsWith("backend_spec_invalid", resolve);
    const memory = await load(backend, kwargs, { [noPersist]: "1" });
    assertInstanceOf(memory, MemoryCredentialsBackend);
  }
});

test("this module's own variables win over those that the Python library reads", async () => {
  const python = ["acme.credentials:Store", "no JSON"] as const;
  const own = { [ownName]: "file", [ownOptions]: '{"path": "/srv/own.json"}' };
  assertEquals((await load(...python, own))?.location, "/srv/own.json");
  // The other name's options are not for this backend, and where it is empty, the other one counts.
  for (
    const [name, kwargs, ownText] of [["kv", { path: 1 }, "memory"], ["memory", , ""]] as const
  ) {
    assertInstanceOf(await load(name, kwargs, { [ownName]: ownText }), MemoryCredentialsBackend);
  }
  await rejectsWith("backend_import_unsupported", () => load(...python), "Python", ownName);
  const unknown = () => load("kv", undefined, { [ownName]: "kw" });
  await rejectsWith("backend_spec_invalid", unknown, ownName);
  const wrong = () => load(undefined, undefined, { ...own, [ownOptions]: "{" });
  await rejectsWith("backend_kwargs_invalid", wrong, ownOptions);
  const alone = () => load("file", undefined, { [ownOptions]: '{"path": "/srv/own.json"}' });
  const fault = `${ownOptions} is set, and ${ownName} is empty or not set`;
  await rejectsWith("backend_spec_invalid", alone, fault);
  const memory = await load(...python, { ...own, [noPersist]: "1" });
  assertInstanceOf(memory, MemoryCredentialsBackend);
});

/** Which variables may be read, what is set, and what comes of it: a class, or the variable that is missed. */
const PERMITTED: [allowed: string[], set: Record<string, string>, outcome: string | undefined][] = [
  [[], { [shared]: "memory" }, noPersist],
  [[noPersist], { [shared]: "memory" }, ownName],
  [[noPersist, ownName], { [shared]: "memory" }, shared],
  [[noPersist, ownName, shared], { [shared]: "memory", [options]: "{}" }, options],
  [ALL, { [shared]: "memory", [options]: "{}" }, "MemoryCredentialsBackend"],
  [[noPersist], { [shared]: "kv", [noPersist]: "1" }, "MemoryCredentialsBackend"],
  [[noPersist, ownName, ownOptions], { [ownName]: "memory" }, "MemoryCredentialsBackend"],
  [[noPersist, ownName, shared], {}, undefined],
  // Options beside an empty name have to be readable, so that none is missed.
  [[noPersist, ownName, shared], { [ownName]: "", [ownOptions]: "x" }, ownOptions],
  [[noPersist, ownName, shared], { [shared]: "", [options]: "x" }, options],
  [ALL, { [shared]: "", [options]: "" }, undefined],
  [ALL, { [shared]: "file", [options]: '{"path": "/${VM_TEST_USER}/c"}' }, "VM_TEST_USER"],
];

for (const [index, [allowed, set, outcome]] of PERMITTED.entries()) {
  const test = testWith({ permissions: { env: allowed } }, PREFIX);
  test(`only needed variables are read, a denied one is named by its flag: ${index + 1}`, () =>
    withEnv({ ...set, VM_TEST_USER: SECRETS.access }, async () => {
      if (outcome === undefined || outcome.endsWith("Backend")) {
        assertEquals((await loadBackendFromEnv())?.constructor.name, outcome);
        return;
      }
      const words = `Run with --allow-env=${outcome}, or`;
      const { message } = await rejectsWith("permission_required", loadBackendFromEnv, words);
      assert(/Cannot (choose a credentials|read the backend's|expand)/.test(message), message);
      const resolve = () => resolveCredentialsBackend();
      await rejectsWith("permission_required", resolve, words); // and not the file
    }));
}

test("each failing call has the caller's place in its stack", async () => {
  async function userCell(): Promise<unknown> {
    return await withEnv({ [shared]: "nonsense" }, async () => {
      const failed = await resolveCredentialsBackend().catch((error) => error);
      return failed.stack;
    });
  }
  await userCell();
  assert(String(await userCell()).includes("resolve_credentials_backend_test.ts"));
});
