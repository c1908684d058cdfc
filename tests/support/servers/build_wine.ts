import { mustRun } from "../deno_process.ts";
import { isOnPath } from "./servers.ts";
import {
  denoOnWindows,
  inDebian,
  inWine,
  WINDOWS_DENO_VERSION,
  WINE_DEBIAN,
  WINE_FOLDER,
  WINE_READY,
  wineParts,
} from "./wine.ts";

const MINUTES = 60_000;
const WITHOUT_EXTRAS = ["-y", "-qq", "--no-install-recommends"];
const APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
/** A file that each of its steps can do without: the whole is made anew if it breaks off. */
const NO_SYNC = "etc/dpkg/dpkg.cfg.d/no-sync";

/**
 * Makes a folder with Debian's Wine and the Windows build of Deno in it, once. It takes some four
 * minutes and 2 GB, and is removed with the folder.
 *
 * @throws {Error} If a step fails, with what its program says.
 */
export async function buildWine(): Promise<void> {
  if (!await isOnPath("debootstrap")) await installPackages("debootstrap");
  // Beside the folder, so that one which is there is whole.
  const work = `${WINE_FOLDER}.${crypto.randomUUID()}`;
  await Deno.mkdir(work, { recursive: true });
  try {
    await makeDebian(work);
    await makePrefix(work);
    await addDeno(work);
    await Deno.writeTextFile(`${work}/${WINE_READY}`, "");
    await Deno.rename(work, WINE_FOLDER);
  } catch (error) {
    await Deno.remove(work, { recursive: true });
    throw error;
  }
}

/** Installs packages of Debian; another installation on the same machine holds the lock for a while. */
export async function installPackages(...names: string[]): Promise<void> {
  const options = { inheritEnv: true, timeoutMs: 20 * MINUTES };
  const apt = [...APT, "-o", "DPkg::Lock::Timeout=300"];
  await mustRun([...apt, "update", "-qq"], options);
  await mustRun([...apt, "install", ...WITHOUT_EXTRAS, ...names], options);
}

async function makeDebian(folder: string): Promise<void> {
  const { root } = wineParts(folder);
  // What it mounts would outlive it if it were stopped, and be removed with the folder.
  const bootstrap = ["debootstrap", "--variant=minbase", WINE_DEBIAN, root];
  await mustRun(["unshare", "--mount", ...bootstrap], {
    inheritEnv: true,
    timeoutMs: 20 * MINUTES,
  });
  await Deno.writeTextFile(`${root}/${NO_SYNC}`, "force-unsafe-io\n");
  await Deno.copyFile("/etc/resolv.conf", `${root}/etc/resolv.conf`);
  const inRoot = (...args: string[]) =>
    mustRun(inDebian(root, [...APT, ...args]), { inheritEnv: true, timeoutMs: 20 * MINUTES });
  await inRoot("update", "-qq");
  await inRoot("install", ...WITHOUT_EXTRAS, "wine", "wine64");
  await inRoot("clean");
}

async function makePrefix(folder: string): Promise<void> {
  const { root } = wineParts(folder);
  await Deno.mkdir(wineParts(folder).drive, { recursive: true });
  await mustRun(inWine(["wineboot", "--init"], { root }), { timeoutMs: 5 * MINUTES });
  await mustRun(inWine(["wineserver", "--wait"], { root }), { timeoutMs: 5 * MINUTES });
}

async function addDeno(folder: string): Promise<void> {
  const { root, drive } = wineParts(folder);
  const name = `@deno/win32-x64@${WINDOWS_DENO_VERSION}`;
  await mustRun(["npm", "pack", name, "--silent", "--pack-destination", folder], {
    inheritEnv: true,
    timeoutMs: 5 * MINUTES,
  });
  const archive = `${folder}/deno-win32-x64-${WINDOWS_DENO_VERSION}.tgz`;
  const only = ["--strip-components=1", "package/deno.exe"];
  await mustRun(["tar", "-xzf", archive, "-C", drive, ...only]);
  await Deno.remove(archive);
  const version = await mustRun(denoOnWindows(["--version"], { root }));
  if (!version.startsWith(`deno ${WINDOWS_DENO_VERSION} `)) {
    throw new Error(`Cannot use Deno under Wine: it says ${JSON.stringify(version)}`);
  }
}
