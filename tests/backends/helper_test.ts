import { quoteArgument } from "../../backends/common/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { shortHash } from "../../backends/file/lock.ts";
import { addressOf } from "../../backends/helper/protocol.ts";
import {
  HelperCredentialsBackend,
  type HelperCredentialsBackendOptions,
  serveHelper,
} from "../../backends/helper.ts";
import { StoreMarks } from "../../backends/helper/late_store.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { testCredentialsBackend } from "../../backends/testing.ts";
import { createSession } from "../../client/create_session.ts";
import { formatPermissionFlags } from "../../client/format_permissions.ts";
import { minimal } from "./stores.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import {
  backendUrl,
  runDeno,
  type RunDenoOptions,
  startDeno,
  succeeds,
} from "../support/deno_process.ts";
import { entry } from "../support/entries.ts";
import { withEnv } from "../support/own_env.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { wordsIn } from "../support/permission_flags.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";
import { namesIn } from "../support/sandbox.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { tempDir } from "../support/temp_home.ts";
import { writeProgram } from "../support/write_program.ts";
import { storeError } from "../support/error_parts.ts";

const ignore = Deno.build.os === "windows"; // the helpers here are scripts of a POSIX shell
const KEY = "https://login.example.com|my client";
/** As at Microsoft Entra: longer than the address of an entry can be. */
const LONG_KEY =
  `https://login.microsoftonline.com/${crypto.randomUUID()}/v2.0|${crypto.randomUUID()}` +
  `|api://${crypto.randomUUID()}`;

/** A helper of docker's form that keeps each account as a file. */
const HELPER = `#!/bin/sh
cd "\${0%/*}/store" || exit 3
input=$(cat)
name() { f=0\${1##*/}; }
url_in() { url=\${1#'{"ServerURL":"'}; url=\${url%%'"'*}; }
case "$1" in
  get)
    name "$input"
    [ -f "$f" ] && cat "$f" && exit 0
    echo "credentials not found in native keychain"; exit 1 ;;
  store)
    url_in "$input"; name "$url"
    printf %s "$input" > "$f.new" && mv "$f.new" "$f" ;;
  erase) name "$input"; rm -f "$f" ;;
  list)
    printf '{"https://index.docker.io/v1/":"docker"'
    for f in [0-9]*; do
      [ -f "$f" ] && url_in "$(cat "$f")" && printf ',"%s":"user"' "$url"
    done
    echo '}' ;;
esac
`;

type World = Awaited<ReturnType<typeof world>>;

async function world() {
  const { path, [Symbol.asyncDispose]: remove } = await tempDir();
  await Deno.mkdir(`${path}/store`);
  return {
    folder: path,
    /** Writes a program, and gives a backend of it. */
    helper(script = HELPER, options: Partial<HelperCredentialsBackendOptions> = {}) {
      const program = `${path}/helper`;
      writeProgram(program, script);
      return new HelperCredentialsBackend({ program, lockFolder: `${path}/locks`, ...options });
    },
    [Symbol.asyncDispose]: remove,
  };
}

const [shared, broken] = ignore ? [] : [await world(), await world()];
testCredentialsBackend("helper", () => shared!.helper(), {
  ignore,
  broken: () => broken!.helper("#!/bin/sh\necho no\nexit 2\n"),
});
Deno.test.afterAll(async () => {
  for (const one of [shared, broken]) await one?.[Symbol.asyncDispose]();
});

function test(name: string, fn: (world: World) => Promise<void>): void {
  Deno.test(`helper: ${name}`, { ignore }, async () => {
    await using here = await world();
    await fn(here);
  });
}

/** What the program has stored. */
function accountsIn(folder: string) {
  const store = `${folder}/store`;
  return namesIn(store).map((name) => JSON.parse(Deno.readTextFileSync(`${store}/${name}`)));
}

test("the entry is stored as docker's helpers take it", async ({ folder, helper }) => {
  const odd = entry({ client_id: "api://a/b" });
  assertEquals(await helper().put(KEY, odd), true);
  const [{ ServerURL, Username, Secret }] = accountsIn(folder);
  assert(/^https:\/\/validmind-auth\.invalid\/[\w-]+$/.test(ServerURL), ServerURL);
  assertEquals(Username, "api%3A%2F%2Fa%2Fb");
  assertEquals(JSON.parse(Secret), odd);
});

test("a long key fits into the file name that pass makes of an address", async ({ folder, helper }) => {
  const backend = helper();
  await backend.put(LONG_KEY, entry());
  await backend.put(KEY, entry({ client_id: "short" }));
  assertEquals(await backend.get(LONG_KEY), entry());
  assertEquals((await Array.fromAsync(backend.list())).sort(), [KEY, LONG_KEY].sort());
  for (const { ServerURL } of accountsIn(folder)) assert(btoa(ServerURL).length < 250, ServerURL);
  const isHashed = [100, 101].map(async (length) =>
    (await addressOf("k".repeat(length))).includes("/.")
  );
  assertEquals(await Promise.all(isHashed), [false, true]);
});

test("a list is an error where a long key cannot be read", async ({ helper }) => {
  await helper().put(LONG_KEY, entry());
  const broken = helper(HELPER.replace(`cat "$f" && exit 0`, "echo the store is sealed; exit 1"));
  await rejectsWith("backend_unavailable", () => Array.fromAsync(broken.list()), "sealed");
});

test("docker's own logins are neither listed nor removed", async ({ folder, helper }) => {
  const backend = helper();
  await Deno.writeTextFile(`${folder}/store/docker`, "a login");
  await backend.put(KEY, entry());
  assertEquals(await Array.fromAsync(backend.list()), [KEY]);
  await backend.deleteAll();
  assertEquals(await Array.fromAsync(backend.list()), []);
  assertEquals(await Deno.readTextFile(`${folder}/store/docker`), "a login");
});

test("arguments come before the action, and variables reach the program", async ({ helper }) => {
  const script = `#!/bin/sh\n[ "$1 $2 $OWN" = "--store get yes" ] || exit 9\n` +
    `echo "credentials not found in native keychain"; exit 1\n`;
  const more = { timeoutMs: Infinity }; // longer than a timer can be
  const backend = helper(script, { args: ["--store"], env: { OWN: "yes" }, ...more });
  assertEquals(await backend.get(KEY), undefined);
});

const [LATE, ODD, AWAY] = ["backend_timeout", "backend_corrupt", "backend_unavailable"];
const ADDRESS = "https://validmind-auth.invalid/";
const NOT_FOUND = "credentials not found in native keychain";
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";

/** Runs code with the class and these options of it at hand. */
function child(options: object, code: string, more: Omit<RunDenoOptions, "code"> = {}) {
  const start = `
    import { HelperCredentialsBackend } from "${backendUrl("helper.ts")}";
    const options = ${JSON.stringify(options)};`;
  return runDeno({ code: start + code, ...more });
}

/** Helpers that misbehave in a get, and what comes of it. */
const FAULTS: readonly [name: string, script: string, code: string, words: string][] = [
  ["hangs with its child", "sleep 20; echo", LATE, "within 300 ms"],
  ["floods", "exec yes aaaaaaaaaaaaaaaa", AWAY, "it was ended by SIGPIPE"],
  ["prints no JSON", "echo hello", ODD, "not this entry"],
  ["answers another key", `echo '{"ServerURL": "eA", "Secret": "{}"}'`, ODD, "not this entry"],
  ["fails", "echo the store is sealed; exit 1", AWAY, "the store is sealed"],
  ["says absent by another code", `echo "${NOT_FOUND}"; exit 2`, AWAY, "code 2"],
  ["ends by a signal", "kill -9 $$", AWAY, "SIGKILL"],
  [
    "is locked",
    "echo exit status 2: gpg: decryption failed: No key; exit 1",
    "keychain_locked",
    "locked",
  ],
  [
    "is locked on macOS",
    "echo User interaction is not allowed.; exit 1",
    "keychain_locked",
    "interaction",
  ],
  [
    "is locked for Python's keyring",
    "echo keyring.errors.KeyringLocked: it is shut >&2; exit 1",
    "keychain_locked",
    "code 1",
  ],
  [
    "is denied on standard error",
    "echo Error: access denied >&2; exit 1",
    "backend_denied",
    'said "Error"',
  ],
  ["prints a token", `echo ${JWT} >&2; exit 3`, AWAY, "code 3, and said nothing"],
  ["explains on standard error", "echo gpg: no key >&2; exit 2", AWAY, 'code 2, and said "gpg"'],
  [
    "ends before it answers",
    "echo >&2 Error: no address; exit 1",
    AWAY,
    'Run the program with "list"',
  ],
];

for (const [name, script, code, words] of FAULTS) {
  test(`one that ${name} is an error, and not "not signed in"`, async ({ helper }) => {
    const backend = helper(`#!/bin/sh\n${script}\n`, code === LATE ? { timeoutMs: 300 } : {});
    await rejectsWith(code as "backend_timeout", () => backend.get(KEY), words);
  });
}

test("one that answers a long key with no entry, or with an odd key, is an error", async ({ helper }) => {
  for (const row of [{ key: LONG_KEY, entry: 5 }, { key: { toString: 1 }, entry: entry() }]) {
    const answer = JSON.stringify({ Secret: JSON.stringify(row) });
    const get = () => helper(`#!/bin/sh\necho '${answer}'\n`).get(LONG_KEY);
    await rejectsWith("backend_corrupt", get, "not this entry");
  }
});

test("a read or a list beside another process's change is repeated, as pass writes in place", async ({ folder, helper }) => {
  await helper().put(KEY, entry());
  const torn = (action: string) =>
    `${action}) [ -f ../${action} ] || { touch ../${action}; echo exit status 2: gpg; exit 1; }\n`;
  const program = HELPER.replace("get)", torn("get")).replace("list)", torn("list"));
  assertEquals(await helper(program).get(KEY), entry());
  assertEquals(await Array.fromAsync(helper(program).list()), [KEY]);
  for (const change of ["put", "delete"] as const) {
    await Deno.remove(`${folder}/get`);
    await helper(program)[change](KEY, entry()); // it is looked at in the end
  }
});

test("one that hangs is ended, and does not stay behind", async ({ helper }) => {
  const backend = helper("#!/bin/sh\nexec sleep 20\n", { timeoutMs: 300 });
  const pids: number[] = [];
  {
    // The program itself may be too late to say which it is.
    using _ = replace(
      Deno,
      "Command",
      class extends Deno.Command {
        override spawn() {
          const child = super.spawn();
          pids.push(child.pid);
          return child;
        }
      },
    );
    await rejectsWith("backend_timeout", () => backend.get(KEY), "within 300 ms");
  }
  assert(pids.length > 0);
  for (const pid of pids) assertEquals(await succeeds(["sh", "-c", `kill -0 ${pid}`]), false);
});

test("what the list has and a get calls absent is locked, also for a sign-out", async ({ helper }) => {
  await helper().put(KEY, entry());
  const locked = helper(
    HELPER.replace("  get)", `  get) echo "${NOT_FOUND}"; exit 1 ;;\n  erase) exit 0 ;;\n  get)`),
  );
  const ways = [() => locked.get(KEY), () => locked.delete(KEY), () => locked.deleteAll()];
  for (const way of ways) await rejectsWith("keychain_locked", way, "it lists them", "Unlock");
});

test("a list that is locked or hangs tells of a read, and keeps nobody from a sign-out", async ({ helper }) => {
  for (
    const [list, code] of [["echo it is locked; exit 1", "keychain_locked"], ["sleep 20", LATE]]
  ) {
    const program = HELPER.replace("list)", `list) ${list} ;;\n  list)`);
    const backend = helper(program, code === LATE ? { timeoutMs: 300 } : {});
    await rejectsWith(code as "backend_timeout", () => backend.get(KEY));
    if (code !== LATE) await backend.delete(KEY);
  }
});

test("a sign-in that comes between two looks of a sign-out stays, and is not called locked", async ({ folder, helper }) => {
  const newer = entry({ access_token: "newer" });
  await helper().put(KEY, newer);
  await Deno.rename(`${folder}/store`, `${folder}/late`);
  await Deno.mkdir(`${folder}/store`);
  const backend = helper(HELPER.replace("  list)", "  list) cp ../late/* .;"));
  await backend.delete(KEY);
  assertEquals(await backend.get(KEY), newer);
});

test("one that is missing or not executable is named", async ({ folder, helper }) => {
  const backend = helper();
  await Deno.chmod(`${folder}/helper`, 0o600);
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "execute");
  await Deno.remove(`${folder}/helper`);
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "no such program", "first line");
});

/** Helpers that read what is there, and what they do to an entry that is larger than they hold. */
const TOO_SMALL: readonly [does: string, store: string, code: string][] = [
  ["cuts an entry", `input=$(printf %s "$input" | sed 's/xxxxxxxxxx//g')`, "backend_too_large"],
  ["refuses an entry", `echo "The stub received bad data."; exit 1`, "backend_unavailable"],
];

for (const [does, store, code] of TOO_SMALL) {
  test(`one that ${does} is told before a refresh token is spent`, async ({ helper }) => {
    await using world = await scriptedProviderWorld();
    await createSession(world.options);
    const signedIn = { ...world.stored(), expires_at: "2020-01-01T00:00:00Z" };
    await helper().put(world.key, signedIn);
    const refreshes = () =>
      world.provider.requests.filter(({ grantType }) => grantType === "refresh_token").length;
    const credentialsBackend = helper(HELPER.replace("store)", `store) ${store}\n`));
    const options = { ...world.options, credentialsBackend, interactive: false };
    await rejectsWith(code as "backend_too_large", () => createSession(options));
    assertEquals(refreshes(), 0);
    assertEquals(await credentialsBackend.get(world.key), signedIn);
    await createSession({ ...options, credentialsBackend: helper() });
    assertEquals(refreshes(), 1);
  });
}

test("two that differ in their variables are two stores, whose sessions share nothing", async ({ folder, helper }) => {
  await using world = await scriptedProviderWorld();
  const script = HELPER.replace("/store", "/$STORE");
  const people = [{ STORE: "ann", N: "1" }, { STORE: "ben", N: "1" }, { N: "1", STORE: "ann" }]
    .map((env) => helper(script, { env }));
  for (const name of ["ann", "ben"]) await Deno.mkdir(`${folder}/${name}`);
  for (const credentialsBackend of people.slice(0, 2)) {
    await createSession({ ...world.options, credentialsBackend });
    const signedIn = (await credentialsBackend.get(world.key))!;
    await credentialsBackend.put(world.key, { ...signedIn, expires_at: "2020-01-01T00:00:00Z" });
  }
  const tokens = await Promise.all(people.map(async (credentialsBackend) => {
    const options = { ...world.options, credentialsBackend, interactive: false };
    return await (await createSession(options)).accessToken();
  }));
  const stored = await Promise.all(people.map(async (store) => (await store.get(world.key))!));
  assertEquals(tokens, stored.map(({ access_token }) => access_token));
  assertEquals([new Set(tokens).size, tokens[2]], [2, tokens[0]]);
});

test("its identity has the program, its arguments and variables, and its location no variable", ({ helper }) => {
  const made = [{}, { args: ["a"] }, { env: { A: "1", B: "2" } }, { env: { B: "2", A: "1" } }]
    .map((options) => helper(HELPER, options));
  const ids = made.map(({ storeId }) => storeId);
  assertEquals([new Set(ids).size, ids[2] === ids[3]], [3, true]);
  assertEquals(made[2]!.location, made[0]!.location);
  return Promise.resolve();
});

test("one that answers a list with not found is told with its own words", async ({ helper }) => {
  const list = helper(`#!/bin/sh\necho "${NOT_FOUND}"; exit 1\n`).list();
  await rejectsWith("backend_unavailable", () => list.next(), "Cannot list", NOT_FOUND);
});

test("one that says so on standard error is told where it has to say so", async ({ helper }) => {
  const backend = helper(`#!/bin/sh\ncat > /dev/null\necho "${NOT_FOUND}" >&2\nexit 1\n`);
  await rejectsWith("backend_unavailable", () => backend.get(KEY), NOT_FOUND, "standard output");
});

test("one that forgets is not proven", async ({ helper }) => {
  const backend = helper(HELPER.replace("mv ", ": "));
  await rejectsWith("backend_unproven", () => backend.put(KEY, entry()));
});

test("one that keeps what it is to erase is told", async ({ helper }) => {
  const backend = helper(HELPER.replace("rm -f", "true"));
  await backend.put(KEY, entry());
  await rejectsWith("backend_denied", () => backend.delete(KEY), "still there");
});

test("a program of a relative folder of PATH is refused", async ({ folder }) => {
  for (const path of [`.:${folder}`, `${folder}:`, `bin:${folder}`]) {
    await withEnv({ PATH: path }, async () => {
      const backend = new HelperCredentialsBackend({ program: "helper", lockFolder: folder });
      await rejectsWith("backend_denied", () => backend.get(KEY), "relative folder");
    });
  }
});

test("a relative folder is refused also where the options give PATH, before anything is started", async ({ folder, helper }) => {
  helper();
  for (const program of ["helper", `${folder}/helper`]) {
    for (const PATH of [`bin:${folder}`, ""]) {
      const options = { program, env: { PATH }, lockFolder: folder };
      const backend = new HelperCredentialsBackend(options);
      await rejectsWith("backend_denied", () => backend.get(KEY), "relative folder");
    }
    const env = { PATH: `${folder}:/usr/bin:/bin` };
    const backend = new HelperCredentialsBackend({ program, env, lockFolder: folder });
    assertEquals([await backend.get(KEY), backend.location], [undefined, program]);
  }
});

/** Pieces of entries, of which no shape is known, as a program may print them at a get. */
const PIECES = [
  "ya29.A0ARrdaM",
  "ghp abcDEF",
  "s.9Kx2mQ7vLw4Zr8Tb",
  "12345678",
  "AAAAAAAAAAAAAAAAAAAA",
];

test("no piece of an entry that a program prints at a get is shown", async ({ helper }) => {
  for (const piece of PIECES) {
    for (const rest of [">&2; exit 1", ">&2; exit 3", "; exit 3"]) {
      const backend = helper(`#!/bin/sh\necho "${piece}: x" ${rest}\n`);
      const error = await rejectsWith("backend_unavailable", () => backend.get(KEY));
      const shown = piece.split(" ").at(-1)!; // a first word of letters is shown
      assert(!Deno.inspect(error).includes(shown), error.message);
    }
    const torn = helper(`#!/bin/sh\necho '{"Secret": "${piece}'; exit 1\n`);
    const error = await rejectsWith("backend_unavailable", () => torn.get(KEY), "said nothing");
    assert(!Deno.inspect(error).includes(piece));
  }
});

/** A helper whose store waits for a file, and then stores by a child that outlives it. */
const SLOW = HELPER.replace(
  "store)",
  `store)
    touch ../begun
    until [ -f ../go ]; do sleep 0.02; done\n`,
).replace("erase)", "erase) touch ../erased;");

/** Tells that it was asked for an entry, and has none. */
const TELLS = HELPER.replace('echo "credentials', 'touch ../missed; echo "credentials');

/** Waits for a file that a program makes. */
async function untilThere(path: string): Promise<void> {
  while (!namesIn(path.replace(/\/[^/]*$/, "")).includes(path.split("/").at(-1)!)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

for (const end of ["kill", "timeout"]) {
  test(`a store that outlives its process undoes no sign-out, after a ${end}`, async ({ folder, helper }) => {
    await helper().put(KEY, entry());
    const timeoutMs = end === "kill" ? 20_000 : 1500;
    const script = end === "kill" ? SLOW : SLOW.replace(/^#!\/bin\/sh$/m, (first) =>
      // The program itself is ended at the time limit, and its child is not.
      `${first}\nif [ "$2" = "" ] && [ "$1" = store ]; then exec 3<&0; sh "$0" store child <&3 & wait; exit; fi`);
    const backend = helper(script, { timeoutMs });
    if (end === "kill") {
      const options = { program: `${folder}/helper`, lockFolder: `${folder}/locks`, timeoutMs };
      const code = `
        import { HelperCredentialsBackend } from "${backendUrl("helper.ts")}";
        const backend = new HelperCredentialsBackend(${JSON.stringify(options)});
        await backend.put(${JSON.stringify(KEY)}, ${
        JSON.stringify(entry({ access_token: "late" }))
      });`;
      await using storing = startDeno({ code, flags: ["-A"] });
      await untilThere(`${folder}/begun`);
      await storing.kill();
    } else {
      const late = entry({ access_token: "late" });
      await rejectsWith("backend_timeout", () => backend.put(KEY, late), "1500 ms");
    }
    const warnings: string[] = [];
    using _ = replace(Deno.stderr, "writeSync", (bytes) => {
      warnings.push(new TextDecoder().decode(bytes));
      return bytes.length;
    });
    const signOut = backend.delete(KEY);
    await untilThere(`${folder}/erased`);
    await Deno.writeTextFile(`${folder}/go`, "");
    await signOut;
    assertEquals(warnings.length, 1, warnings.join());
    assertEquals([await backend.get(KEY), accountsIn(folder)], [undefined, []]);
    assertEquals(namesIn(`${folder}/locks`), []);
    await backend.delete(KEY);
    assertEquals(warnings.length, 1); // nothing to wait for any more
  });
}

test("a sign-out that waits for a late store leaves a newer sign-in alone, and ends by the time limit", async ({ folder, helper }) => {
  const backend = helper(TELLS, { timeoutMs: 700 });
  await backend.put(KEY, entry());
  const [{ ServerURL }] = accountsIn(folder);
  const base = `helper.${shortHash(`${folder}/helper`)}.${shortHash(ServerURL)}`;
  const marks = new StoreMarks(`${folder}/locks/${base}`, 3_600_000); // as after a clock that jumped
  using _ = replace(Deno.stderr, "writeSync", (bytes) => bytes.length);
  await marks.set("what a killed process stores");
  const newer = entry({ access_token: "newer" });
  const signOut = backend.delete(KEY);
  await untilThere(`${folder}/missed`); // the removal has been looked at
  await backend.put(KEY, newer);
  await signOut;
  assertEquals(await backend.get(KEY), newer);
  await marks.set("what nobody stores any more");
  const start = performance.now();
  await backend.delete(KEY);
  assert(performance.now() - start >= 700);
  assertEquals([await backend.get(KEY), marks.read()], [undefined, []]);
});

test("a variable that Deno withholds is named, and can be left out", async ({ folder, helper }) => {
  helper();
  const run = async (env?: Record<string, string>) => {
    const options = { program: `${folder}/helper`, env, lockFolder: folder };
    const code = `
      const backend = new HelperCredentialsBackend(options);
      console.log(await backend.get("k").catch(({ code, message }) => code + message));`;
    const more = { flags: [`--allow-run=${folder}/helper`], env: { LD_LIBRARY_PATH: folder } };
    const { stdout } = await child(options, code, more);
    return stdout.trim();
  };
  const denied = await run();
  assert(denied.startsWith("permission_required"), denied);
  assert(denied.includes('"env" to {"LD_LIBRARY_PATH":""}'), denied);
  assertEquals(await run({ LD_LIBRARY_PATH: "" }), "undefined");
});

test("a lock folder that cannot be listed keeps nobody from signing out", async ({ folder, helper }) => {
  await Deno.writeTextFile(`${folder}/file`, "");
  const backend = helper(HELPER, { lockFolder: `${folder}/file` });
  await helper().put(KEY, entry());
  await backend.delete(KEY);
  assertEquals(accountsIn(folder), []);
});

test("a program that Deno does not permit is named with its flag, and no variable is blamed", async ({ folder, helper }) => {
  helper();
  const options = { program: `${folder}/helper`, lockFolder: folder };
  const code = `
    const backend = new HelperCredentialsBackend(options);
    console.log(await backend.get("k").catch(({ code, message }) => code + message));`;
  const { stdout } = await child(options, code, { flags: [] });
  assert(stdout.startsWith("permission_required"), stdout);
  const flag = quoteArgument(`--allow-run=${folder}/helper`);
  assert(stdout.includes(`Run with ${flag}.`), stdout);
});

test("it works with exactly the permissions that it declares", async ({ folder, helper }) => {
  helper();
  const options = { program: "helper", lockFolder: `${folder}/locks` };
  const backend = new HelperCredentialsBackend(options);
  const flags = formatPermissionFlags(
    backend.requiredPermissions().map(({ need: _, ...one }) => one),
  );
  const script = `
      const backend = new HelperCredentialsBackend(options);
      await backend.withLock("k", async () => {
        await backend.put("k", { issuer: "i", client_id: "c", access_token: "a" });
      });
      console.log(backend.location, (await backend.get("k")).client_id);`;
  const env = { PATH: `${Deno.env.get("PATH")}:${folder}` };
  const seen = await child(options, script, { flags: wordsIn(flags), env });
  assertEquals(seen, { code: 0, stdout: "helper c\n", stderr: "" });
});

/** A store as a program by `serveHelper`, with the program's streams in this process. */

const SHORT = `${ADDRESS}${btoa(KEY).replaceAll("=", "")}`;
const SERVED_KEY = `https://login.example.com|${"x".repeat(200)}`;

/** A store that answers later, and lists. */
function store(): SpyBackend & OidcCredentialsBackend {
  const spy = new SpyBackend();
  spy.before = () => new Promise((resolve) => setTimeout(resolve));
  return Object.assign(spy, {
    async *list() {
      yield* spy.rows.keys();
    },
  });
}

/** What the program prints, and its exit code. Standard output takes a few bytes at a time. */
async function run(backend: OidcCredentialsBackend, action: string, input: string) {
  const written: number[] = [];
  using _args = replace(Deno, "args", ["--store", action]);
  using _stdin = replace(Deno.stdin, "readable", new Blob([input]).stream());
  using _stdout = replace(
    Deno.stdout,
    "writeSync",
    (bytes) => written.push(...bytes.subarray(0, 7)) && Math.min(7, bytes.length),
  );
  await serveHelper(backend);
  const { exitCode: code } = Deno;
  Deno.exitCode = 0;
  return { stdout: new TextDecoder().decode(Uint8Array.from(written)), code };
}

const ABSENT = { stdout: "credentials not found in native keychain\n", code: 1 };
const DONE = { stdout: "", code: 0 };

for (const key of [KEY, SERVED_KEY]) {
  Deno.test(`serveHelper: an entry is stored, listed, given and erased: ${key.slice(0, 40)}`, async () => {
    const backend = store();
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
    const hash = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
    const ServerURL = key === KEY ? SHORT : `${ADDRESS}.${hash}`;
    const row = key === KEY ? entry() : { key, entry: entry() };
    const account = { ServerURL, Username: "my-app", Secret: JSON.stringify(row) };
    assertEquals(await run(backend, "get", ServerURL), ABSENT);
    assertEquals(await run(backend, "erase", ServerURL), DONE);
    assertEquals(await run(backend, "store", JSON.stringify(account)), DONE);
    assertEquals([...backend.rows], [[key, entry()]]);
    const listed = await run(backend, "list", "");
    assertEquals(JSON.parse(listed.stdout), { [ServerURL]: "validmind-auth" });
    const { stdout, code } = await run(backend, "get", `${ServerURL}\n`);
    assertEquals([JSON.parse(stdout), code], [account, 0]);
    assertEquals(await run(backend, "erase", ServerURL), DONE);
    assertEquals(backend.rows.size, 0);
  });
}

Deno.test("serveHelper: what is asked wrongly, or fails, ends with code 1 and a reason without secrets", async () => {
  const fail = (error: Error) => ({ ...minimal(), get: () => Promise.reject(error) });
  const locked = storeError("backend_locked", "Cannot read: held. Wait.");
  const account = (Secret: unknown) => JSON.stringify({ ServerURL: SHORT, Secret });
  const cases: [OidcCredentialsBackend, action: string, input: string, words: string][] = [
    [store(), "get", "https://index.docker.io/v1/", `ServerURL does not begin with ${ADDRESS}`],
    [store(), "store", "{}", "ServerURL does not begin with"],
    [store(), "store", account("no JSON"), "Secret is not an entry in JSON"],
    [store(), "store", account(7), "Secret is not an entry in JSON"],
    [store(), "version", SHORT, "Usage: get|store|erase|list"],
    [minimal(), "list", "", "Implement list()"],
    [fail(locked), "get", SHORT, "Cannot read: held. Wait."],
    [fail(new Error(`bad ${entry().access_token}`)), "get", SHORT, "Its words are left out"],
  ];
  for (const [backend, action, input, words] of cases) {
    const { stdout, code } = await run(backend, action, input);
    assertNoSecret(stdout);
    assert(stdout.includes(words) && stdout.endsWith("\n"), stdout);
    assertEquals(code, 1);
  }
  let isClosed = false;
  await run({ ...minimal(), close: () => void (isClosed = true) }, "get", SHORT);
  assertEquals(isClosed, true);
  const wrong = () => serveHelper({} as OidcCredentialsBackend);
  await rejectsWith("invalid_backend", wrong, "serveHelper()");
});
