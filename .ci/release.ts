// deno-lint-ignore-file no-console -- it is a program
/**
 * Rehearses a release against registries on this machine, as the workflows do it:
 *
 * ```sh
 * deno task release --rehearse [--tag v1.2.3]
 * ```
 *
 * It needs a clean clone, Git and npm, and publishes nothing anywhere else. The first step that fails
 * ends it, with the way on.
 */
import { ensureDir } from "@std/fs";
import { basename, fromFileUrl, join } from "@std/path";
import { parseArgs } from "node:util";
import { TARGETS } from "./compile_cli.ts";
import { DENO, mustRun, runDeno, runProcess } from "../tests/support/deno_process.ts";
import { startJsrRegistry } from "../tests/support/jsr_registry.ts";
import { type NpmRegistry, startNpmRegistry } from "../tests/support/npm_registry.ts";
import { ProviderProcess } from "../tests/support/provider_process.ts";
import { readTarball } from "../tests/support/read_tarball.ts";
import { tempDir } from "../tests/support/temp_home.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));
const DIST = join(ROOT, "dist");
const SLOW_MS = 600_000;

/** The reason why a step, or a part of it, cannot run here. */
export class LeftOut extends Error {}

/** One step of a release. */
export interface Step {
  readonly name: string;
  readonly run: () => Promise<unknown>;
  /** The way on where it fails. */
  readonly remedy: string;
}

/** The reason against a version, its page of changes and its tag, if there is one. */
export function faultOfVersion(
  version: string,
  changes: string,
  tag: string = `v${version}`,
): string | undefined {
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) return `deno.json has the version "${version}"`;
  if (tag !== `v${version}`) return `the tag is ${tag}, and deno.json has the version ${version}`;
  const [, newest] = /^## (\S+?),? /m.exec(changes) ?? [];
  if (newest !== version) return `the newest part of the page of changes is for ${newest}`;
  return undefined;
}

/** The files that the package for npm names and does not have. */
export async function missingFiles(tarball: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const texts = await readTarball(tarball);
  const { exports = {}, bin = {} } = JSON.parse(texts.get("package/package.json") ?? "{}");
  const entries = Object.values<Record<string, string>>(exports).flatMap(Object.values<string>);
  const named = [...entries, ...Object.values<string>(bin), "LICENSE", "README.md"];
  return named.filter((name) => !texts.has(join("package", name)));
}

/** The first sign-in of a person who has just installed the module, and a request for the token. */
const FIRST_SIGN_IN = (specifier: string) => `
import { createSession, MemoryCredentialsBackend } from "${specifier}";
const [issuer, clientId] = Deno.args;
const credentialsBackend = new MemoryCredentialsBackend();
const session = await createSession({ issuer, clientId, credentialsBackend, onDeviceCode() {} });
if (!await session.accessToken()) throw new Error("there is no token");
`;

/** Runs the command line and a first sign-in of an installed module. */
export async function signInFirst(
  specifier: string,
  env: Record<string, string>,
  timeoutMs: number = SLOW_MS,
): Promise<void> {
  await using provider = await ProviderProcess.start();
  await using folder = await tempDir();
  const file = join(folder.path, "first.ts");
  await Deno.writeTextFile(file, FIRST_SIGN_IN(specifier));
  const args = [provider.issuer, provider.clientId];
  const options = { config: false, cwd: folder.path, env, timeoutMs };
  for (const [program, given] of [[`${specifier}/cli`, ["--version"]], [file, args]] as const) {
    const { code, stderr } = await runDeno({
      file: program,
      flags: ["-A"],
      args: given,
      ...options,
    });
    if (code !== 0) throw new Error(stderr);
  }
}

/** Publishes a package to npm's registry: whole, and once. */
export async function publishOnce(npm: NpmRegistry, tarball: string): Promise<void> {
  const missing = await missingFiles(await Deno.readFile(tarball));
  if (missing.length > 0) throw new Error(`the package lacks ${missing.join(", ")}`);
  await npm.publish(tarball);
  const again = await npm.publish(tarball).then(() => "", ({ message }) => message);
  if (!/previously published|403/.test(again)) throw new Error("a version went out twice");
}

/**
 * Compiles the program of this system, and those of all systems of a release where Deno's own host gives
 * the runtime. `DENORT_BIN` gives that of this system alone.
 */
async function compilePrograms(): Promise<void> {
  await compile("this system");
  await mustRun([join(DIST, "validmind-auth"), "--version"]);
  if (Deno.env.has("DENORT_BIN")) throw new LeftOut("DENORT_BIN is for this system alone");
  for (const target of TARGETS) await compile(target, "--target", target);
}

async function compile(system: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await deno("task", "compile", ...args);
  if (code === 0) return;
  if (!/error sending request .*denort/.test(stderr)) throw new Error(stderr);
  const way = "Give its path as DENORT_BIN, or rehearse where the host can be reached";
  throw new LeftOut(`Deno's host does not give the runtime (denort) for ${system}. ${way}`);
}

async function writeChecksums(): Promise<void> {
  await ensureDir(DIST);
  const lines = [];
  for await (const { name, isFile } of Deno.readDir(DIST)) {
    if (!isFile || name === "SHA256SUMS") continue;
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(join(DIST, name)));
    lines.push(`${new Uint8Array(digest).toHex()}  ${name}\n`);
  }
  await Deno.writeTextFile(join(DIST, "SHA256SUMS"), lines.sort().join(""));
}

async function deno(...args: string[]) {
  return await runProcess([DENO, ...args], { cwd: ROOT, inheritEnv: true, timeoutMs: SLOW_MS });
}

async function mustDeno(...args: string[]): Promise<void> {
  await mustRun([DENO, ...args], { cwd: ROOT, inheritEnv: true, timeoutMs: SLOW_MS });
}

async function stepsOf(tag: string | undefined, registries: AsyncDisposableStack): Promise<Step[]> {
  const { version } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const check = (name: string, ...args: string[]): Step => ({
    name,
    run: () => mustDeno(...args),
    remedy: `Run: deno ${args.join(" ")}`,
  });
  let npm: NpmRegistry;
  return [
    {
      name: "version",
      run: async () => {
        const changes = await Deno.readTextFile(join(ROOT, ".github", "CHANGELOG.md"));
        const fault = faultOfVersion(version, changes, tag);
        if (fault !== undefined) throw new Error(fault);
      },
      remedy: "Correct deno.json, .github/CHANGELOG.md or the tag.",
    },
    {
      name: "clean clone",
      run: async () => {
        const changed = await mustRun(["git", "-C", ROOT, "status", "--porcelain"]);
        if (changed !== "") throw new Error(`these files are not committed:\n${changed}`);
      },
      remedy: "Commit them, or rehearse in a fresh clone.",
    },
    check("format", "fmt", "--check"),
    check("lint", "lint"),
    check("types", "task", "check"),
    check("documentation", "task", "doc:lint"),
    check("JSR: what is published", "publish", "--dry-run"),
    {
      name: "JSR: publish and first sign-in",
      run: async () => {
        const jsr = registries.use(await startJsrRegistry());
        await signInFirst("jsr:@validmind/auth", jsr.env);
      },
      remedy: "Run: deno task test:all tests/package_slow_test.ts",
    },
    {
      name: "npm: pack and publish",
      run: async () => {
        npm = registries.use(await startNpmRegistry({ without: ["@validmind/auth"] }));
        await Deno.remove(DIST, { recursive: true }).catch(() => undefined);
        await ensureDir(DIST);
        await Deno.copyFile(npm.tarball, join(DIST, basename(npm.tarball)));
        await publishOnce(npm, npm.tarball);
      },
      remedy: "Run: deno task pack",
    },
    {
      name: "npm: first sign-in",
      run: () => signInFirst("npm:@validmind/auth", npm.env),
      remedy: "Run: deno task test:all tests/npm_package_slow_test.ts",
    },
    { name: "programs", run: compilePrograms, remedy: "Run: deno task compile" },
    {
      name: "SBOM and checksums",
      run: async () => {
        await mustDeno("run", "-A", ".ci/write_sbom.ts", join(DIST, "sbom.spdx.json"));
        await writeChecksums();
      },
      remedy: "Run: deno run -A .ci/write_sbom.ts dist/sbom.spdx.json",
    },
  ];
}

/** Runs steps in their order. The first that fails ends them: none of those after it runs. */
export async function runSteps(steps: readonly Step[]): Promise<number> {
  for (const { name, run, remedy } of steps) {
    const begin = performance.now();
    try {
      await run();
      console.log(`${name}: ok, ${((performance.now() - begin) / 1000).toFixed(0)} s`);
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof LeftOut) {
        console.log(`${name}: left out: ${message}.`);
        continue;
      }
      console.error(`Cannot release: the step "${name}" failed: ${message}\n${remedy}`);
      return 1;
    }
  }
  console.log("The rehearsal went well. CONTRIBUTING names what only a real release can show.");
  return 0;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { rehearse: { type: "boolean" }, tag: { type: "string" } },
  });
  if (!values.rehearse) {
    console.error(
      "A release is made by pushing its tag. To rehearse it: deno task release --rehearse",
    );
    Deno.exit(2);
  }
  await using registries = new AsyncDisposableStack();
  Deno.exitCode = await runSteps(await stepsOf(values.tag, registries));
}
