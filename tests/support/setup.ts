// deno-lint-ignore-file no-console
/**
 * Makes the `jsr:@std/…` imports of this repository resolve where JSR cannot be reached but npm can.
 *
 * `deno task setup` runs it, and every other task first of all. Where JSR answers it leaves all to
 * Deno. Otherwise it takes the same modules from an npm package that carries them, and writes them
 * to `vendor/`, which Deno reads before it asks JSR.
 */
import { readTarball } from "./read_tarball.ts";
import { type FileMap, isWhole, vendorTree, writeTree } from "./vendor_tree.ts";

const CARRIER = "veryfront@0.1.1031";
const CARRIER_SHA512 =
  "Vhd648NOygFaqiSeT9xDRL/9Tf2KjyfpIlnz2W86fRHi9W47w7ngZisq0Xiw4nzNKN8kh5+MDD01N1E18Oidgw==";
const CARRIER_FOLDER = "package/esm/deps/jsr.io/@std/";
const CARRIED = /^(?:assert|fs|internal|path)\/[\w./-]+\.(?:js|d\.ts)$/;
const PROBE_TIMEOUT_MS = 3000;

/** Names how a tree was made: a tree made in another way is made anew. */
const MARKER = JSON.stringify({ madeBy: "tests/support/setup.ts", recipe: 2, from: CARRIER });
const MARKER_FILE = ".made-by-setup.json";

/**
 * Fills `vendor/` below `root` if need be.
 *
 * @param root The folder with deno.json in it; ends with a slash.
 * @throws {Error} If neither JSR nor npm can be used and `vendor/` has nothing to go on with.
 */
export async function setUp(root: URL): Promise<void> {
  const target = new URL("vendor/jsr.io/@std/", root);
  if (readIfThere(new URL(MARKER_FILE, target)) === MARKER && isWhole(target)) return;
  const noJsr = await probeJsr();
  if (noJsr === undefined) return;
  console.error(
    `JSR does not answer (${noJsr}). The modules of @std are taken from npm instead: the package ` +
      `${CARRIER} carries them.`,
  );
  try {
    await writeTree(target, await vendorTree(await unpack(await download(root))));
    await Deno.writeTextFile(new URL(MARKER_FILE, target), MARKER);
    if (Deno.env.has("JSR_URL")) console.error("Unset JSR_URL: with it Deno does not look there.");
  } catch (error) {
    if (isWhole(target) || isFromJsr(target)) {
      console.error("npm does not work either; going on with the vendor/ that is there.");
      return;
    }
    throw new Error(
      `Cannot set up vendor/: JSR does not answer (${noJsr}) and npm gives no ${CARRIER} ` +
        `(${reason(error)}). Check the network, or point JSR_URL or npm at a mirror, then run ` +
        `\`deno task setup\` again.`,
      { cause: error },
    );
  }
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().replace(/\s+/g, " ");
}

function readIfThere(file: URL): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return;
    throw error;
  }
}

/** Deno itself fills the tree as modules are asked for, so that it need not be whole. */
function isFromJsr(target: URL): boolean {
  return readIfThere(new URL(MARKER_FILE, target)) === undefined &&
    readIfThere(new URL("path/meta.json", target)) !== undefined;
}

/** Why JSR cannot be used, or undefined if it can. */
async function probeJsr(): Promise<string | undefined> {
  const base = Deno.env.get("JSR_URL") || "https://jsr.io";
  try {
    const url = new URL("@std/path/meta.json", base.endsWith("/") ? base : `${base}/`);
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    const body = await response.text();
    if (!response.ok) return `${base} answered ${response.status}`;
    // A captive portal or a filtering proxy answers 200 with a page of its own.
    const versions = (JSON.parse(body) as { versions?: unknown } | null)?.versions;
    return typeof versions === "object" ? undefined : `${base} answered something else`;
  } catch (error) {
    if (error instanceof SyntaxError) return `${base} answered something else`;
    if (error instanceof DOMException) return `${base} timed out`;
    return `${base} cannot be reached`;
  }
}

/** The npm package's tarball, fetched by npm so that the person's own npm configuration counts. */
async function download(root: URL): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir({ prefix: "validmind-auth-setup-" });
  try {
    await npmPack(root, folder);
    return await verified(await Deno.readFile(`${folder}/${CARRIER.replace("@", "-")}.tgz`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function npmPack(root: URL, folder: string): Promise<void> {
  const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
  const args = ["pack", CARRIER, "--pack-destination", folder, "--silent", "--ignore-scripts"];
  const options = { args, cwd: root, stdin: "null", stdout: "null", stderr: "piped" } as const;
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(npm, options).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Error(`${npm} is not installed`);
    throw error;
  }
  if (output.success) return;
  const complaint = new TextDecoder().decode(output.stderr).trim().slice(0, 500);
  throw new Error(complaint || `\`npm pack\` ended with code ${output.code}`);
}

async function verified(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", bytes)).toBase64();
  if (digest === CARRIER_SHA512) return bytes;
  throw new Error(`the downloaded ${CARRIER} has sha512 ${digest}, not the expected one`);
}

async function unpack(tarball: Uint8Array): Promise<FileMap> {
  const path = (name: string) => name.slice(CARRIER_FOLDER.length);
  const isCarried = (name: string) => name.startsWith(CARRIER_FOLDER) && CARRIED.test(path(name));
  const files = await readTarball(tarball, isCarried);
  return new Map([...files].map(([name, text]) => [path(name), text]));
}

if (import.meta.main) {
  try {
    const { pathToFileURL } = await import("node:url");
    const [folder = `${import.meta.dirname}/../..`] = Deno.args;
    await setUp(pathToFileURL(`${folder}/`));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
