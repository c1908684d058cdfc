/**
 * Attacks of another user of the host: two user ids, and a folder that both can write. Root plays the
 * attacker by giving files away, and the victim runs in a process of its own.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { backendUrl, mustRun } from "../support/deno_process.ts";
import { entry, KEY } from "../support/entries.ts";
import { OTHER_UID as VICTIM, runAsOther, whyNoOtherUser } from "../support/run_denied.ts";
import { makePipe, namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";

const ATTACKER = 12345;
const FOREIGN = `it belongs to another user (uid ${ATTACKER})`;
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
  testWith({ whyNot: whyNoOtherUser })(name, async () => {
    const parent = folder();
    Deno.chmodSync(root, 0o755);
    Deno.chmodSync(parent, 0o777);
    const path = `${parent}/credentials.json`;
    write(path, documentOf(entry()), VICTIM);
    const victim = (call: string, flags?: readonly string[]) =>
      runAsOther(script(path, call), flags);
    await fn({ parent, path, victim });
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

function documentOf(entry: unknown): string {
  return JSON.stringify({ version: 1, credentials: { [KEY]: entry } });
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

const read = (path: string) => Deno.readTextFileSync(path);

const PUT = "backend.put(KEY, entry)";

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

attack("another user's file in a proof's place is replaced or left, never used", async (scene) => {
  const { parent, victim } = scene;
  const temps = `Array.from(Deno.readDirSync("${parent}"), ({ name }) => name)
  .filter((name) => name.endsWith(".tmp"))`;
  const locked = (then: string) => `backend.withLock(KEY, () => Promise.resolve(${then}))`;
  const [name] = await victim(locked(temps)) as string[];
  const temp = `${parent}/${name}`;
  write(temp, "", ATTACKER, 0o666);
  assertEquals(await victim(locked(`Deno.lstatSync("${temp}").uid`)), VICTIM);
  await makePipe(temp);
  Deno.chmodSync(temp, 0o666); // all may use it
  Deno.chownSync(temp, ATTACKER, ATTACKER);
  assertEquals(await victim(locked(`Deno.lstatSync("${temp}").isFile`)), true);
  Deno.chmodSync(parent, 0o1777); // there nobody removes what belongs to another user
  write(temp, "", ATTACKER, 0o666);
  assertEquals(await victim(locked(`Deno.lstatSync("${temp}").uid`)), ATTACKER);
});

attack("a sign-out leaves another user's credentials.json", async ({ path, victim }) => {
  const text = documentOf(ATTACKERS_ENTRY);
  write(path, text, ATTACKER, 0o666);
  for (const options of ["{}", "{ issuer: undefined, clientId: undefined, all: true }"]) {
    assertMatch(String(await victim(`signOut(${options})`)), foreign(path));
  }
  assertEquals(read(path), text);
});
