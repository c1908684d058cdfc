/**
 * Attacks of another user of the host: two user ids, and a folder that both can write. Root plays the
 * attacker by giving files away, and the victim runs in a process of its own.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { backendUrl, mustRun, runDeno } from "../support/deno_process.ts";
import { entry, KEY } from "../support/entries.ts";
import { OTHER_UID as VICTIM, runAsOther, whyNoOtherUser } from "../support/run_denied.ts";
import { makePipe, modeOf, namesIn, sandbox } from "../support/sandbox.ts";

const ATTACKER = 12345;
const FOREIGN = `it belongs to another user (uid ${ATTACKER})`;
const KEYS = "ssh-ed25519 AAAA";
const ATTACKERS_ENTRY = entry({ client_id: "of-the-attacker" });
const { folder, root } = sandbox();

/** The place of an attack. */
interface Scene {
  /** Both users can write it. */
  readonly parent: string;
  /** The victim's credentials file, with an entry in it. */
  readonly path: string;
  /** Runs a call as the victim. Gives its value, or "code: message" of its error. */
  victim(call: string, flags?: readonly string[]): Promise<unknown>;
}

function attack(name: string, fn: (scene: Scene) => Promise<void>): void {
  Deno.test({
    name: whyNoOtherUser ? `${name} (ignored: ${whyNoOtherUser})` : name,
    ignore: whyNoOtherUser !== undefined,
    async fn() {
      const parent = folder();
      Deno.chmodSync(root, 0o755);
      Deno.chmodSync(parent, 0o777);
      const path = `${parent}/credentials.json`;
      write(path, documentOf(entry()), VICTIM);
      const victim = (call: string, flags?: readonly string[]) =>
        runAsOther(script(path, call), flags);
      await fn({ parent, path, victim });
    },
  });
}

function script(path: string, call: string): string {
  return `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    import { KeychainCredentialsBackend } from "${backendUrl("keychain.ts")}";
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    import { clearOidcCredentials } from "${backendUrl("../client/init.ts")}";
    const [KEY, path, entry] = ${JSON.stringify([KEY, path, entry()])};
    const [issuer, clientId] = KEY.split("|");
    const backend = new FileCredentialsBackend({ path, lockTimeoutMs: 300 });
    const signOut = (options) =>
      clearOidcCredentials({ issuer, clientId, credentialsBackend: backend, ...options });
    try {
      const value = await (${call});
      console.log(JSON.stringify(value ?? "done"));
    } catch (error) {
      console.log(JSON.stringify(error.code + ": " + error.message));
    }
  `;
}

function documentOf(...entries: unknown[]): string {
  return JSON.stringify({ version: 1, credentials: { [KEY]: entries[0] } });
}

function write(path: string, text: string, uid: number, mode = 0o600): void {
  Deno.writeTextFileSync(path, text);
  Deno.chmodSync(path, mode);
  Deno.chownSync(path, uid, uid);
}

/** Makes a link that belongs to the attacker. */
async function link(target: string, path: string, uid = ATTACKER): Promise<void> {
  Deno.symlinkSync(target, path);
  await mustRun(["chown", "-h", `${uid}:${uid}`, path]);
}

/** Makes a named pipe that belongs to the attacker and that all may use. */
async function plantPipe(path: string): Promise<void> {
  await makePipe(path);
  Deno.chmodSync(path, 0o666);
  Deno.chownSync(path, ATTACKER, ATTACKER);
}

function read(path: string): string {
  return Deno.readTextFileSync(path);
}

function locksIn(parent: string): string[] {
  return namesIn(parent).filter((name) => name.endsWith(".lock"));
}

const PUT = "backend.put(KEY, entry)";
const LOCKED = `backend.withLock(KEY, () => Promise.resolve("locked"))`;

attack("a planted link in a lock file's place is not written through", async (scene) => {
  const { parent, victim } = scene;
  const keys = `${parent}/authorized_keys`;
  write(keys, KEYS, VICTIM);
  assertEquals(await victim(LOCKED), "locked");
  assertEquals(await victim(PUT), "done");
  for (const name of locksIn(parent)) {
    Deno.removeSync(`${parent}/${name}`);
    await link(keys, `${parent}/${name}`);
  }
  assertEquals(locksIn(parent).length, 2);
  for (const call of [LOCKED, PUT]) {
    assertMatch(String(await victim(call)), /^backend_denied: .*it is a symbolic link/);
  }
  assertEquals(read(keys), KEYS);
});

for (const flags of [["-A"], ["--allow-read"]]) {
  attack(
    `a file of another user signs nobody in, under ${flags}`,
    async ({ path, victim, parent }) => {
      write(path, documentOf(ATTACKERS_ENTRY), ATTACKER, 0o644);
      const isReader = flags.join() === "--allow-read";
      const calls = ["backend.get(KEY)", ...isReader ? [] : [PUT, "backend.deleteAll()"]];
      for (const call of calls) assertMatch(String(await victim(call, flags)), foreign(path), call);
      assertEquals(read(path), documentOf(ATTACKERS_ENTRY));
      Deno.chownSync(path, VICTIM, VICTIM); // the same file, but the user's own
      Deno.chmodSync(path, 0o600);
      assertEquals(await victim("backend.get(KEY)", flags), ATTACKERS_ENTRY);
      Deno.chownSync(path, 0, 0); // a provisioned file of the superuser's
      Deno.chmodSync(path, 0o644);
      assertEquals(await victim("backend.get(KEY)", flags), ATTACKERS_ENTRY);
      assert(!namesIn(parent).some((name) => name.endsWith(".owner")));
    },
  );

  attack(
    `a link of another user is not followed, under ${flags}`,
    async ({ path, victim, parent }) => {
      const target = `${parent}/target.json`;
      Deno.renameSync(path, target);
      await link(target, path, VICTIM);
      assertEquals(await victim("backend.get(KEY)", flags), entry());
      Deno.removeSync(path);
      await link(target, path);
      const isReader = flags.join() === "--allow-read";
      const calls = [
        "backend.get(KEY)",
        ...isReader ? [] : [PUT, "backend.deleteAll()", "signOut()"],
      ];
      for (const call of calls) assertMatch(String(await victim(call, flags)), foreign(path), call);
      assertEquals(read(target), documentOf(entry())); // a sign-out empties nothing through it
    },
  );
}

function foreign(path: string): RegExp {
  return new RegExp(`^backend_denied: .*${RegExp.escape(`${path}: ${FOREIGN}`)}`);
}

attack("a named pipe in the file's place is refused at once", async ({ path, victim }) => {
  Deno.removeSync(path);
  await plantPipe(path);
  for (const call of ["backend.get(KEY)", PUT, "signOut()"]) {
    assertMatch(String(await victim(call)), /^backend_denied: .*it is a named pipe/, call);
  }
});

attack(
  "another user's file in a proof's place is replaced or left alone, and never used",
  async (scene) => {
    const { parent, victim } = scene;
    const temps = `Array.from(Deno.readDirSync("${parent}"), ({ name }) => name)
    .filter((name) => name.endsWith(".tmp"))`;
    const locked = (then: string) => `backend.withLock(KEY, () => Promise.resolve(${then}))`;
    const [name] = await victim(locked(temps)) as string[];
    const temp = `${parent}/${name}`;
    write(temp, "", ATTACKER, 0o666);
    assertEquals(await victim(locked(`Deno.lstatSync("${temp}").uid`)), VICTIM);
    await plantPipe(temp);
    assertEquals(await victim(locked(`Deno.lstatSync("${temp}").isFile`)), true);
    Deno.chmodSync(parent, 0o1777); // there nobody removes what belongs to another user
    write(temp, "", ATTACKER, 0o666);
    assertEquals(await victim(locked(`Deno.lstatSync("${temp}").uid`)), ATTACKER);
  },
);

for (const flags of [["-A"]]) {
  attack(
    `a lock file of another user is not locked, under ${flags}`,
    async ({ parent, victim }) => {
      await victim(PUT);
      const lock = `${parent}/${locksIn(parent)[0]}`;
      write(lock, "", ATTACKER, 0o666);
      assertMatch(String(await victim(PUT, flags)), foreign(lock));
      assertEquals(read(lock), "");
      Deno.chownSync(lock, VICTIM, VICTIM); // the same file, but the user's own
      assertEquals(await victim(PUT, flags), "done");
    },
  );
}

attack(
  "a lock file that others hold, open to all, does not keep the tokens from a sign-out",
  async (scene) => {
    const { parent, path, victim } = scene;
    await victim(LOCKED);
    await victim(PUT);
    const files = locksIn(parent).map((name) => {
      Deno.chmodSync(`${parent}/${name}`, 0o666);
      return Deno.openSync(`${parent}/${name}`, { read: true, write: true });
    });
    try {
      for (const file of files) file.lockSync(true);
      const { keys } = await victim("signOut()") as { keys: string[] };
      assertEquals([keys, read(path).includes(KEY)], [[KEY], false]);
      write(path, documentOf(entry()), VICTIM);
      await victim("signOut({ issuer: undefined, clientId: undefined, all: true })");
      assertEquals(JSON.parse(read(path)).credentials, {});
    } finally {
      for (const file of files) file.close();
    }
  },
);

attack("a sign-out leaves another user's credentials.json", async ({ path, victim }) => {
  const text = documentOf(ATTACKERS_ENTRY);
  write(path, text, ATTACKER, 0o666);
  for (const options of ["{}", "{ issuer: undefined, clientId: undefined, all: true }"]) {
    assertMatch(String(await victim(`signOut(${options})`)), foreign(path));
  }
  assertEquals(read(path), text);
});

attack("a .validmind that is a link to a folder of the victim's leaves its mode", async (scene) => {
  const { parent, victim } = scene;
  Deno.mkdirSync(`${parent}/public`);
  Deno.chmodSync(`${parent}/public`, 0o755);
  Deno.chownSync(`${parent}/public`, VICTIM, VICTIM);
  await link("public", `${parent}/.validmind`);
  const call = `new FileCredentialsBackend({ path: "${parent}/.validmind/credentials.json" })`;
  assertEquals(await victim(`${call}.put(KEY, entry)`), "done");
  assertEquals(modeOf(`${parent}/public`), 0o755);
});

attack("a closed file in its owner's folder is not the superuser's", async ({ parent, path }) => {
  write(path, documentOf(ATTACKERS_ENTRY), ATTACKER);
  Deno.chownSync(parent, ATTACKER, ATTACKER);
  Deno.chmodSync(parent, 0o700);
  for (const call of ["backend.get(KEY)", PUT, "signOut()"]) {
    const { stdout, stderr } = await runDeno({ code: script(path, call), flags: ["-A"] });
    assertMatch(String(JSON.parse(stdout || "null")), foreign(path), stderr);
  }
  assertEquals(read(path), documentOf(ATTACKERS_ENTRY));
});
