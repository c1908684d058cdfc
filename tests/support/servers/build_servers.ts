// deno-lint-ignore-file no-console
/**
 * Gets the real servers that tests run against: `deno task servers`.
 *
 * Builds Vault, denokv, a provider on zitadel/oidc and some smaller programs into a cache folder
 * outside the repository, puts Keycloak, the oldest Deno, Node, Bun, TypeScript, Authlib, the
 * ValidMind Python library, jupyter-server-proxy, JupyterLab and JupyterHub beside them, and installs
 * the Debian packages that tests need if it may. A part that is there already is left alone. A part
 * that cannot be had is named, and the exit code is 1: no other part is held up by it.
 */
import { fromFileUrl } from "@std/path/from-file-url";
import { buildKeycloak } from "./build_keycloak.ts";
import { JUPYTER_SERVER_PROXY_VENV, JUPYTER_SERVER_PROXY_VERSION } from "./jupyter_server_proxy.ts";
import { JUPYTERHUB_VENV, JUPYTERHUB_VERSION } from "./jupyterhub.ts";
import { JUPYTERLAB_VENV, JUPYTERLAB_VERSION } from "./jupyterlab.ts";
import { AUTHLIB_VENV, AUTHLIB_VERSION, ZITADEL_OIDC_VERSION } from "./op_server.ts";
import { PYTHON_KEYRING_VENV, PYTHON_KEYRING_VERSION } from "./python_keyring.ts";
import { makePythonLibrary, PYTHON_LIBRARY_VERSION } from "./python_library.ts";
import { makeVenv } from "./python_venv.ts";
import {
  BUN_VERSION,
  DENO_TYPES_VERSION,
  DENOKV_VERSION,
  type GoServerName,
  isOnPath,
  isThere,
  KEYCLOAK_VERSION,
  NODE_TYPES_VERSION,
  NODE_VERSION,
  type NpmProgram,
  OLD_DENO_VERSION,
  type ServerName,
  serverPath,
  TYPESCRIPT_VERSION,
} from "./server_binary.ts";

/** A program of each package tells whether the package is there. */
const PACKAGES: Record<string, string> = {
  "gnome-keyring-daemon": "gnome-keyring",
  "dbus-run-session": "dbus",
  "secret-tool": "libsecret-tools",
  ip: "iproute2",
  openssl: "openssl",
  strace: "strace",
  "mkfs.btrfs": "btrfs-progs",
  java: "default-jre-headless",
  mvn: "maven",
  pass: "pass",
  gpg: "gnupg",
  "pkg-config": "pkg-config",
};
/** Packages without a program, by a file of theirs. */
const LIBRARIES: Record<string, string> = {
  "/usr/include/libsecret-1/libsecret/secret.h": "libsecret-1-dev",
};

const TYPESCRIPT_PACKAGES = [
  `typescript@${TYPESCRIPT_VERSION}`,
  `@types/node@${NODE_TYPES_VERSION}`,
  `@types/deno@${DENO_TYPES_VERSION}`,
];

/** npm's packages, and what is kept of `node_modules`: a program, or all of it. */
const NPM_PROGRAMS: readonly (readonly [NpmProgram, packages: string[], kept: string])[] = [
  ["old-deno", [`deno@${OLD_DENO_VERSION}`], "deno/deno"],
  ["node", [`node@${NODE_VERSION}`], "node/bin/node"],
  ["bun", [`bun@${BUN_VERSION}`], "bun/bin/bun.exe"],
  ["typescript", TYPESCRIPT_PACKAGES, ""],
];

type Outcome = "present" | "built" | "installed" | `left out: ${string}`;

/** Runs a program to its end; its complaint is the reason of the error. */
async function run(program: string, args: string[], options: Deno.CommandOptions = {}) {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { ...options, args, stdin: "null" }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Error(`${program} is not installed`);
    throw error;
  }
  if (output.success) return;
  const complaint = new TextDecoder().decode(output.stderr).trim().slice(-2000);
  throw new Error(`${program} ${args[0]} ended with code ${output.code}: ${complaint}`);
}

/** Builds beside the folder and renames, so that a stopped build never looks finished. */
async function build(
  name: ServerName,
  into: (folder: string) => Promise<string>,
): Promise<Outcome> {
  const path = await serverPath(name);
  if (await isThere(path)) return "present";
  const folder = path.slice(0, path.lastIndexOf("/"));
  const work = `${folder}.${crypto.randomUUID()}`;
  await Deno.mkdir(work, { recursive: true });
  try {
    const built = await into(work);
    await Deno.mkdir(folder, { recursive: true });
    try {
      await Deno.rename(built, path);
    } catch (error) {
      // Another process has built it meanwhile. A folder is not replaced.
      if (!await isThere(path)) throw error;
    }
    return "built";
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function buildByGo(name: GoServerName, folder: string): Promise<string> {
  const path = `${folder}/${name}`;
  const args = ["build", "-trimpath", "-ldflags", "-s -w", "-o", path, "."];
  const cwd = fromFileUrl(new URL(`${name}/`, import.meta.url));
  await run("go", args, { cwd, env: { GOFLAGS: "-mod=readonly" } });
  return path;
}

async function buildDenokv(folder: string): Promise<string> {
  const args = ["install", "denokv", "--version", DENOKV_VERSION, "--locked", "--root", folder];
  await run("cargo", [...args, "--target-dir", `${folder}/target`]);
  return `${folder}/bin/denokv`;
}

async function getByNpm(folder: string, packages: string[], kept: string): Promise<string> {
  await run("npm", ["install", "--prefix", folder, ...packages]);
  return `${folder}/node_modules/${kept}`;
}

async function installPackages(): Promise<Outcome> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(PACKAGES)) {
    if (!await isOnPath(program)) missing.push(name);
  }
  for (const [file, name] of Object.entries(LIBRARIES)) {
    if (!await isThere(file)) missing.push(name);
  }
  if (missing.length === 0) return "present";
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
    throw new Error(`not root; install ${missing.join(", ")} yourself`);
  }
  // Another installation on the same machine holds the lock for a while.
  const wait = ["-o", "DPkg::Lock::Timeout=300"];
  await run("apt-get", [...wait, "update", "-qq"]);
  await run("apt-get", [...wait, "install", "-y", "-qq", "--no-install-recommends", ...missing], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
  return "installed";
}

async function tell(part: string, work: () => Promise<Outcome>): Promise<void> {
  const started = Date.now();
  console.log(`${part} …`);
  try {
    const outcome = await work();
    console.log(`${part}: ${outcome} (${Math.round((Date.now() - started) / 1000)} s)`);
  } catch (error) {
    console.log(`${part}: left out: ${error instanceof Error ? error.message : error}`);
    Deno.exitCode = 1;
  }
}

if (import.meta.main) {
  await tell(`Debian packages (${Object.values(PACKAGES).join(", ")})`, installPackages);
  await tell(
    `validmind ${PYTHON_LIBRARY_VERSION} (Python)`,
    async () => await makePythonLibrary(run) ? "installed" : "present",
  );
  await tell(
    `Authlib ${AUTHLIB_VERSION} (Python)`,
    async () => await makeVenv(AUTHLIB_VENV, run) ? "installed" : "present",
  );
  await tell(
    `keyring ${PYTHON_KEYRING_VERSION} (Python)`,
    async () => await makeVenv(PYTHON_KEYRING_VENV, run) ? "installed" : "present",
  );
  await tell(
    `jupyter-server-proxy ${JUPYTER_SERVER_PROXY_VERSION} (Python)`,
    async () => await makeVenv(JUPYTER_SERVER_PROXY_VENV, run) ? "installed" : "present",
  );
  await tell(
    `JupyterLab ${JUPYTERLAB_VERSION} (Python)`,
    async () => await makeVenv(JUPYTERLAB_VENV, run) ? "installed" : "present",
  );
  await tell(
    `JupyterHub ${JUPYTERHUB_VERSION} (Python and npm)`,
    async () => await makeVenv(JUPYTERHUB_VENV, run) ? "installed" : "present",
  );
  await tell(
    `zitadel/oidc ${ZITADEL_OIDC_VERSION} (Go)`,
    () => build("zitadel", (folder) => buildByGo("zitadel", folder)),
  );
  const programs = [
    "docker-credential-pass",
    "docker-credential-secretservice",
    "client-go-exec",
  ] as const;
  for (const name of programs) {
    await tell(`${name} (Go)`, () => build(name, (folder) => buildByGo(name, folder)));
  }
  for (const [name, packages, kept] of NPM_PROGRAMS) {
    const work = () => build(name, (folder) => getByNpm(folder, packages, kept));
    await tell(`${packages.join(", ")} (npm)`, work);
  }
  await tell("vault (Go)", () => build("vault", (folder) => buildByGo("vault", folder)));
  await tell(`denokv ${DENOKV_VERSION} (Rust)`, () => build("denokv", buildDenokv));
  await tell(
    `keycloak ${KEYCLOAK_VERSION} (Java)`,
    () => build("keycloak", (folder) => buildKeycloak(folder, run)),
  );
}
