import { mustRun, runProcess } from "../../support/deno_process.ts";

/** A person's account on the machine. */
export interface UnixUser {
  readonly name: string;
  readonly password: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The number tells which process made an account, so that a later run can remove it. */
const NAME = /^vmhub(\d+)x[a-z0-9]+$/;
/** Others may hold the file of accounts for a moment. */
const TRIES = 50;
const PAUSE_MS = 100;

/**
 * Makes accounts, each with a uid, a home below `homes` and a password of its own. Disposed, they are gone
 * with all that they run.
 */
export async function makeUnixUsers(homes: string, count: number) {
  await Deno.mkdir(homes, { recursive: true, mode: 0o755 });
  await removeLeftOver();
  await using stack = new AsyncDisposableStack();
  const all: UnixUser[] = [];
  for (let index = 0; index < count; index++) {
    const name = `vmhub${Deno.pid}x${index}${Math.random().toString(36).slice(2, 6)}`;
    await changeAccounts(["useradd", "--create-home", "--base-dir", homes, name]);
    stack.defer(() => removeUser(name));
    const password = crypto.randomUUID();
    await mustRun(["chpasswd"], { stdin: `${name}:${password}\n` });
    all.push({ name, password, ...await accountOf(name) });
  }
  const made = stack.move();
  return { all, [Symbol.asyncDispose]: () => made.disposeAsync() };
}

async function accountOf(name: string): Promise<Pick<UnixUser, "uid" | "gid" | "home">> {
  const [, , uid, gid, , home] = (await mustRun(["getent", "passwd", name])).trim().split(":");
  return { uid: Number(uid), gid: Number(gid), home: home! };
}

/** All processes, with the arguments by which each was started. */
export async function processes(): Promise<{ pid: number; uid: number; line: string }[]> {
  const names = Array.from(Deno.readDirSync("/proc"), ({ name }) => name);
  const found = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map(async (name) => {
      try {
        const { uid } = await Deno.stat(`/proc/${name}`);
        const line = await Deno.readTextFile(`/proc/${name}/cmdline`);
        // It is empty where a process has ended, and nobody has asked how.
        return line === "" ? [] : [{ pid: Number(name), uid: uid!, line }];
      } catch {
        return []; // it has ended
      }
    }),
  );
  return found.flat();
}

/** Ends all that a user runs. */
export async function endProcesses(user: number): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const running = (await processes()).filter(({ uid }) => uid === user);
    if (running.length === 0) return;
    for (const { pid } of running) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function removeUser(name: string): Promise<void> {
  await endProcesses((await accountOf(name)).uid);
  await changeAccounts(["userdel", "--force", name]);
}

/** Removes accounts that a run which was killed has left. */
async function removeLeftOver(): Promise<void> {
  for (const line of (await Deno.readTextFile("/etc/passwd")).split("\n")) {
    const [name = ""] = line.split(":");
    const [, pid] = NAME.exec(name) ?? [];
    if (pid === undefined || await isRunning(pid)) continue;
    await removeUser(name).catch(() => undefined); // another test file may have been faster
  }
}

async function isRunning(pid: string): Promise<boolean> {
  return await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
}

async function changeAccounts(command: string[]): Promise<void> {
  for (let tries = 1;; tries++) {
    const { code, stderr } = await runProcess(command);
    if (code === 0) return;
    if (tries >= TRIES || !stderr.includes("try again later")) {
      throw new Error(`Cannot change the accounts: ${stderr.trim()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
