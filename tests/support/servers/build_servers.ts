// deno-lint-ignore-file no-console
/**
 * Gets the servers that tests run against, once, into a cache folder outside the repository:
 * `deno task servers`, or `deno task servers vault` for one of `servers.ts`.
 *
 * It installs the Debian packages that tests and builds need if it may. What is there already is left
 * alone. What cannot be had is named, and the exit code is 1: nothing else is held up by it.
 */
import { fromFileUrl } from "@std/path/from-file-url";
import { mustRun, type RunProcessOptions } from "../deno_process.ts";
import { installPackages } from "./build_wine.ts";
import { adminPasswordFile, DATABASE, startKeycloakIn } from "./keycloak_server.ts";
import {
  hasServer,
  isOnPath,
  isThere,
  serverFolder,
  type ServerName,
  serverPath,
  SERVERS,
  type Source,
} from "./servers.ts";

/** Each package by a program or a file of its own. */
const PACKAGES: Record<string, string> = {
  "gnome-keyring-daemon": "gnome-keyring",
  "dbus-run-session": "dbus",
  "secret-tool": "libsecret-tools",
  ip: "iproute2",
  java: "default-jre-headless",
  mvn: "maven",
  pass: "pass",
  gpg: "gnupg",
  gcc: "gcc",
  "pkg-config": "pkg-config",
  "/usr/include/libsecret-1/libsecret/secret.h": "libsecret-1-dev",
};

/** Parts of Keycloak that are off by default. */
const ADDED = ["client-auth-federated", "kubernetes-service-accounts"];
/** Parts of Keycloak that no test uses, and that take time at its start. */
const LEFT_OUT = ["admin", "account", "kerberos", "ciba"];

/** Runs a program to its end, which may take an hour. */
async function run(program: string, args: readonly string[], options: RunProcessOptions = {}) {
  await mustRun([program, ...args], { inheritEnv: true, timeoutMs: 3_600_000, ...options });
}

async function getServer(name: ServerName): Promise<void> {
  if (SERVERS[name].by === "pip") return await makeEnvironment(name);
  // Built beside the folder and renamed, so that a stopped build never looks finished.
  const folder = await serverFolder(name);
  const work = `${folder}.${crypto.randomUUID()}`;
  await Deno.mkdir(work, { recursive: true });
  try {
    const built = await build(name, SERVERS[name], work);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.rename(built, await serverPath(name)).catch(async (error) => {
      if (!await hasServer(name)) throw error; // else another process was faster
    });
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Builds a program in a folder, and gives its path. */
async function build(name: ServerName, source: Source, folder: string): Promise<string> {
  if (source.by === "go") {
    const flags = ["-s", "-w", source.linked ?? ""].join(" ").trim();
    const tags = source.tags === undefined ? [] : ["-tags", source.tags];
    const output = `${folder}/${name}`;
    const args = [
      "build",
      "-trimpath",
      ...tags,
      "-ldflags",
      flags,
      "-o",
      output,
      source.program ?? ".",
    ];
    const cwd = fromFileUrl(new URL(`${name}/`, import.meta.url));
    await run("go", args, { cwd, env: { GOFLAGS: "-mod=readonly" } });
    return output;
  }
  if (source.by === "npm") {
    await run("npm", ["install", "--prefix", folder, ...source.npm!]);
    return `${folder}/node_modules/${source.kept}`;
  }
  if (source.by === "java") {
    const project = fromFileUrl(new URL(`${name}/pom.xml`, import.meta.url));
    const places = [`-Dmaven.repo.local=${folder}/repository`, `-Dfolder=${folder}/target`];
    await run("mvn", ["--batch-mode", "--quiet", ...places, "--file", project, "package"]);
    return `${folder}/target/${name}.jar`;
  }
  if (source.by === "maven") return await buildKeycloak(folder, source);
  throw new Error(`Cannot build ${name}`);
}

async function makeEnvironment(name: ServerName): Promise<void> {
  const source: Source = SERVERS[name];
  const [folder, python] = [await serverFolder(name), await serverPath(name)];
  // The system's own where there is one: people of a hub cannot run one in somebody's home.
  const maker = await isThere("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
  await run(maker, ["-m", "venv", "--clear", folder]);
  for (const args of source.installs!) await run(python, ["-m", "pip", "install", "-q", ...args]);
  if (source.npm !== undefined) await run("npm", ["install", "--prefix", folder, ...source.npm]);
  await Deno.writeTextFile(`${folder}/ready`, "");
}

/** Makes Keycloak ready to start quickly: built for its one database, which has its tables. */
async function buildKeycloak(folder: string, { version, sha256 }: Source): Promise<string> {
  // A repository of its own: the person's would keep the archive for good.
  await run("mvn", [
    ...["--batch-mode", "--quiet", `-Dmaven.repo.local=${folder}/repository`],
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
    `-Dartifact=org.keycloak:keycloak-quarkus-dist:${version}:tar.gz`,
    `-DoutputDirectory=${folder}`,
  ]);
  const archive = `${folder}/keycloak-quarkus-dist-${version}.tar.gz`;
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(archive));
  const found = new Uint8Array(digest).toHex();
  if (found !== sha256) throw new Error(`${archive} has the SHA-256 ${found}, not ${sha256}`);
  await run("tar", ["-xzf", archive, "-C", folder]);
  const built = `${folder}/keycloak-${version}`;
  const features = [`--features=${ADDED}`, `--features-disabled=${LEFT_OUT}`];
  await run(`${built}/bin/kc.sh`, ["build", "--db=dev-file", ...features]);
  const password = crypto.randomUUID();
  await Deno.writeTextFile(adminPasswordFile(built), password, { mode: 0o600 });
  const home = `${folder}/home`;
  await Deno.mkdir(home);
  const { server } = await startKeycloakIn(home, built, {
    KC_BOOTSTRAP_ADMIN_USERNAME: "admin",
    KC_BOOTSTRAP_ADMIN_PASSWORD: password,
  });
  await server.end("TERM");
  await Deno.copyFile(`${home}/${DATABASE}`, `${built}/database`);
  return built;
}

async function getPackages(): Promise<string> {
  const missing: string[] = [];
  for (const [part, name] of Object.entries(PACKAGES)) {
    const isHere = part.startsWith("/") ? isThere(part) : isOnPath(part);
    if (!await isHere) missing.push(name);
  }
  if (missing.length === 0) return "present";
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
    throw new Error(`not root; install ${missing.join(", ")} yourself`);
  }
  await installPackages(...missing);
  return "installed";
}

async function tell(part: string, work: () => Promise<string>): Promise<void> {
  const started = Date.now();
  try {
    const outcome = await work();
    console.log(`${part}: ${outcome} (${Math.round((Date.now() - started) / 1000)} s)`);
  } catch (error) {
    console.log(`${part}: left out: ${error instanceof Error ? error.message : error}`);
    Deno.exitCode = 1;
  }
}

if (import.meta.main) {
  const all = Object.keys(SERVERS) as ServerName[];
  const unknown = Deno.args.filter((name) => !(name in SERVERS));
  if (unknown.length > 0) {
    console.error(`Cannot get ${unknown.join(", ")}: there are ${all.join(", ")}.`);
    Deno.exit(1);
  }
  await tell(`Debian packages (${Object.values(PACKAGES).join(", ")})`, getPackages);
  for (const name of Deno.args.length > 0 ? Deno.args as ServerName[] : all) {
    await tell(`${name} (${SERVERS[name].by})`, async () => {
      if (await hasServer(name)) return "present";
      console.log(`${name} …`);
      await getServer(name);
      return "built";
    });
  }
}
