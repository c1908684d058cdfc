import { dirname, fromFileUrl, toFileUrl } from "@std/path";
import { copyRepository } from "./copy_repository.ts";
import { DENO, mustRun, runDeno, succeeds } from "./deno_process.ts";
import { tempDir } from "./temp_home.ts";

const ROOT_URL = new URL("../../", import.meta.url);
const ROOT = fromFileUrl(ROOT_URL);

/** After this a script is killed. */
const TIMEOUT_MS = 60_000;
const OVERRIDES = "-dac_override,-dac_read_search";

/**
 * What has to stand before a command so that file modes hold for it. The superuser passes over
 * them, unless the kernel takes that capability away.
 */
export const withoutOverride: readonly string[] = Deno.build.os === "windows" || Deno.uid() !== 0
  ? []
  : ["setpriv", `--bounding-set=${OVERRIDES}`, `--inh-caps=${OVERRIDES}`];

/** Why the operating system cannot be made to deny something here; `undefined` where it can. */
export const whyNoDenial: string | undefined = Deno.build.os === "windows"
  ? "Windows has no modes"
  : await succeeds([...withoutOverride, "true"])
  ? undefined
  : "the tests run as root, and setpriv does not work";

/** A user id that owns nothing here. */
export const OTHER_UID = 54321;

/** Why no second user can be played here; `undefined` where it can. */
export const whyNoOtherUser: string | undefined = await findWhyNoOtherUser();

async function findWhyNoOtherUser(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "needs Linux and root";
  if (!await succeeds([...asOther(), "true"])) return "setpriv does not work";
  await using folder = await tempDir();
  const parent = dirname(folder.path);
  if (await succeeds([...asOther(), "test", "-w", parent], { cwd: "/" })) return undefined;
  return `other users may not use ${parent}`;
}

const isRoot = Deno.uid() === 0;

/** The user of {@linkcode runAsOrdinary}. */
export const ORDINARY_UID: number = isRoot ? OTHER_UID : Deno.uid() ?? OTHER_UID;

/** Why no ordinary user can be played here; `undefined` where it can, and where this is one. */
export const whyNoOrdinaryUser: string | undefined = isRoot ? whyNoOtherUser : whyNoModes();

function whyNoModes(): string | undefined {
  return Deno.build.os === "windows" ? "Windows has no modes" : undefined;
}

/** Why no accounts can be made here; `undefined` where they can. */
export const whyNoAccounts: string | undefined = whyNoOtherUser ??
  (await succeeds(["sh", "-c", "command -v useradd && command -v userdel && command -v chpasswd"])
    ? undefined
    : "there is no useradd");

/** Why nothing can be mounted here; `undefined` where it can. */
export const whyNoMount: string | undefined = Deno.build.os !== "linux"
  ? "needs Linux"
  : await succeeds([...unshare(), "mount", "-t", "tmpfs", "none", "/mnt"])
  ? undefined
  : "needs the right to mount";

/** Runs a script for which file modes hold; gives what it prints, as JSON. */
export function runDenied(code: string): Promise<unknown> {
  return run((command) => [...withoutOverride, ...command], code);
}

/** Runs a script as the user of {@linkcode OTHER_UID}, with Deno's own flags. */
export async function runAsOther(code: string, flags: readonly string[] = ["-A"]) {
  const { root, deno, cache } = await (sharedCopy ??= makeSharedCopy());
  const moved = (text: string) =>
    text === DENO
      ? deno
      : text.replaceAll(ROOT_URL.href, toFileUrl(root).href).replaceAll(ROOT, root);
  const before = asOther(`DENO_DIR=${cache}`);
  const wrap = (command: string[]) => [...before, ...command.map(moved)];
  // The cache has nothing of other hosts: nothing may be fetched into it.
  return await run(wrap, moved(code), [...flags, "--cached-only"]);
}

/** Runs a script as a user who is not the superuser: the one of these tests, or the other one. */
export const runAsOrdinary: typeof runAsOther = isRoot
  ? runAsOther
  : (code, flags) => run((command) => command, code, flags);

/** Where the other user finds this module, Deno, and a folder for Deno's cache. */
interface SharedCopy {
  root: string;
  deno: string;
  cache: string;
}

let sharedCopy: Promise<SharedCopy> | undefined;

/** Deno and this module, at a place where another user can read them: this one may be private. */
async function makeSharedCopy(): Promise<SharedCopy> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "validmind-auth-shared-" }));
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  await Deno.chmod(folder, 0o755);
  const root = `${folder}/auth/`;
  await copyRepository(root, "tests");
  await mustRun(["chmod", "-R", "a+rX", folder]);
  const cache = `${folder}/cache`;
  await Deno.mkdir(cache);
  await Deno.chown(cache, OTHER_UID, OTHER_UID);
  if (await succeeds([...asOther(), DENO, "--version"])) return { root, deno: DENO, cache };
  await mustRun(["cp", DENO, `${folder}/deno`]); // what this process writes may be busy
  await Deno.chmod(`${folder}/deno`, 0o755);
  return { root, deno: `${folder}/deno`, cache };
}

function asOther(...variables: string[]): string[] {
  const user = [`--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, "--clear-groups"];
  return ["setpriv", ...user, "env", ...variables];
}

/**
 * Runs a script that sees a tiny memory file system at `folder`, and is its superuser.
 *
 * @param inodes The most files in it.
 */
export function runMounted(folder: string, code: string, kib = 64, inodes = 1000) {
  const size = `size=${kib}k,nr_inodes=${inodes}`;
  const mount = `mount -t tmpfs -o ${size},mode=700 none "$0" && exec "$@"`;
  return run((command) => [...unshare(), "sh", "-c", mount, folder, ...command], code);
}

/** The mounts of a namespace go with the last process in it, however that ends. */
function unshare(): string[] {
  return Deno.uid() === 0 ? ["unshare", "--mount"] : ["unshare", "--mount", "--map-root-user"];
}

async function run(
  wrap: (command: string[]) => string[],
  code: string,
  flags: readonly string[] = ["-A"],
): Promise<unknown> {
  await using folder = await tempDir();
  await Deno.chmod(folder.path, 0o755);
  const [file, temporary] = [`${folder.path}/main.ts`, `${folder.path}/temp`];
  await Deno.mkdir(temporary);
  await Deno.chmod(temporary, 0o1777); // as /tmp, also for the other user
  await Deno.writeTextFile(file, code);
  const { stdout, stderr } = await runDeno({
    file,
    flags: [...flags, "--unstable-kv"],
    wrap,
    env: { TMPDIR: temporary }, // what a script that fails leaves there goes, too
    timeoutMs: TIMEOUT_MS, // a pipe may make it wait for ever
  });
  if (stdout === "") throw new Error(`the script printed nothing: ${stderr}`);
  return JSON.parse(stdout);
}
