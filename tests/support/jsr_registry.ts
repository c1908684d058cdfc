import { copy, ensureDir } from "@std/fs";
import { dirname, join, toFileUrl } from "@std/path";
import { readTarball } from "./read_tarball.ts";
import { shareFolder } from "./share_folder.ts";
import { tempDir } from "./temp_home.ts";
import { denoInfo, runDenoTool } from "./deno_process.ts";

/** A package to serve. */
export interface JsrPackage {
  /** With its scope: `@acme/backend`. */
  name: string;
  version: string;
  /** Texts by path: `{ "mod.ts": "export …" }`. */
  files: Record<string, string>;
  /** As in deno.json: `{ ".": "./mod.ts" }`. */
  exports: Record<string, string>;
}

/** Options of {@linkcode startJsrRegistry}. */
export interface JsrRegistryOptions {
  /** Whether to publish this repository's package; else only what is added is served. @default {true} */
  publish?: boolean;
}

/** A JSR registry on a loopback port. */
export type JsrRegistry = Awaited<ReturnType<typeof startJsrRegistry>>;

type Packages = Map<string, Map<string, JsrPackage>>;

const ROOT = new URL("../../", import.meta.url);
const VENDOR = new URL("vendor/jsr.io/", ROOT);
const NOT_SOURCE = new Set([".git", "coverage", "dist", "node_modules", "tests", "vendor"]);
const UPLOAD = /^\/api\/scopes\/([\w-]+)\/packages\/([\w-]+)\/versions\/([\w.+-]+)$/;
const NOT_FOUND = { code: "packageVersionNotFound", message: "not there" };
const encoder = new TextEncoder();

/**
 * Starts a JSR registry on this machine, with this package published to it by `deno publish`.
 *
 * What a child process imports from it as `jsr:@validmind/auth` is what a user would get: the files
 * that are published and no others, with the import map applied to them by Deno itself. Also serves
 * what is below `vendor/jsr.io/`, and what is added.
 *
 * @example A script as a user has it
 * ```ts ignore
 * await using registry = await startJsrRegistry();
 * registry.add({
 *   name: "@acme/backend",
 *   version: "1.0.0",
 *   files: { "mod.ts": "export class Backend {}" },
 *   exports: { ".": "./mod.ts" },
 * });
 * const { stdout } = await runDeno({ file: script, config: false, env: registry.env });
 * ```
 */
export async function startJsrRegistry(options: JsrRegistryOptions = {}) {
  const { publish = true } = options;
  const packages: Packages = new Map();
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    requests.push(new URL(request.url).pathname);
    return answer(request, packages);
  });
  const denoDir = await tempDir("validmind-auth-deno-");
  const dispose = async () => {
    await server.shutdown();
    await denoDir[Symbol.asyncDispose]();
  };
  try {
    const url = `http://127.0.0.1:${server.addr.port}`;
    const env = await childEnv(url, denoDir.path);
    if (publish) await publishPackage(env);
    requests.length = 0;
    return {
      /** For `JSR_URL`, which Deno reads. */
      url,
      /**
       * What a child process needs to use the registry: `JSR_URL`, and a `DENO_DIR` of its own, since
       * Deno caches by URL and ports come again. The npm packages in it are those of this process.
       */
      env,
      /** The paths that were asked for, in order. */
      requests,
      /** Serves one more package, or one more version of it. */
      add: (pkg: JsrPackage) => addTo(packages, pkg),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function childEnv(url: string, denoDir: string): Promise<Record<string, string>> {
  const { npmCache } = await denoInfo<{ npmCache: string }>(["--no-config"]);
  await Deno.mkdir(npmCache, { recursive: true });
  await shareFolder(npmCache, `${denoDir}/npm`);
  return { JSR_URL: url, DENO_DIR: denoDir, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
}

/** Publishes a copy: with `"vendor": true` Deno would write what it loads into the original. */
async function publishPackage(env: Record<string, string>): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "validmind-auth-publish-" });
  try {
    const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    for await (const { name } of Deno.readDir(ROOT)) {
      if (!NOT_SOURCE.has(name)) await copy(new URL(name, ROOT), toFileUrl(join(work, name)));
    }
    // Of the many files of the tests only those in the folders of which some are published.
    for (const path of config.publish.include as string[]) {
      const [, place] = /^(tests\/[^*]+)(\/[^/]*\*.*)?$/.exec(path) ?? [];
      if (place === undefined) continue;
      await ensureDir(join(work, dirname(place)));
      await copy(new URL(place, ROOT), toFileUrl(join(work, place)), { overwrite: true });
    }
    await Deno.chmod(join(work, "deno.json"), 0o600); // the repository may be read-only
    await Deno.writeTextFile(
      join(work, "deno.json"),
      JSON.stringify({ ...config, vendor: false, lock: false }),
    );
    await denoPublish(work, env);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Types are left to `deno check`. */
async function denoPublish(cwd: string, env: Record<string, string>): Promise<void> {
  const flags = ["--allow-dirty", "--allow-slow-types", "--no-check", "--no-provenance"];
  const args = ["publish", "--token=none", ...flags];
  const { code, stderr } = await runDenoTool(args, {
    cwd,
    env,
    inheritEnv: true, // an empty cache asks npm, with its certificates and mirrors
    timeoutMs: 300_000,
  });
  if (code !== 0) throw new Error(`Cannot publish to the local registry:\n${stderr}`);
}

async function answer(request: Request, packages: Packages): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname.startsWith("/api/")) {
    if (request.method === "POST") {
      const config = searchParams.get("config") ?? "/deno.json";
      addTo(packages, await readUpload(new Uint8Array(await request.arrayBuffer()), config));
    }
    return answerApi(pathname, packages);
  }
  const [scope, name, ...rest] = pathname.slice(1).split("/");
  const versions = packages.get(`${scope}/${name}`);
  return versions === undefined
    ? await answerVendored(pathname)
    : await answerPackage(versions, rest.join("/"));
}

/** The part of JSR's management API that `deno publish` uses. */
function answerApi(pathname: string, packages: Packages): Response {
  const [, scope, name, version = ""] = UPLOAD.exec(pathname) ?? [];
  if (scope === undefined) return Response.json({});
  if (!packages.get(`@${scope}/${name}`)?.has(version)) {
    return Response.json(NOT_FOUND, { status: 404 });
  }
  return Response.json({ id: "1", status: "success", error: null });
}

async function readUpload(tarball: Uint8Array, config: string): Promise<JsrPackage> {
  const files = Object.fromEntries(await readTarball(tarball));
  const { name, version, exports } = JSON.parse(files[config.slice(1)] ?? "{}");
  return { name, version, files, exports };
}

function addTo(packages: Packages, pkg: JsrPackage): void {
  const versions = packages.get(pkg.name) ?? new Map<string, JsrPackage>();
  packages.set(pkg.name, versions.set(pkg.version, pkg));
}

async function answerPackage(versions: Map<string, JsrPackage>, path: string): Promise<Response> {
  if (path === "meta.json") {
    const listed = [...versions.keys()].map((version) => [version, {}]);
    return Response.json({ latest: listed.at(-1)?.[0], versions: Object.fromEntries(listed) });
  }
  const [, version, file] = /^([^/_]+)(?:_meta\.json|\/(.+))$/.exec(path) ?? [];
  const pkg = versions.get(version ?? "");
  if (pkg === undefined) return notFound();
  if (file === undefined) {
    return Response.json({ manifest: await manifest(pkg.files), exports: pkg.exports });
  }
  const text = pkg.files[file];
  return text === undefined ? notFound() : respond(file, text);
}

async function manifest(files: Record<string, string>): Promise<Record<string, unknown>> {
  const entries = Object.entries(files).map(async ([path, text]) => {
    const bytes = encoder.encode(text);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [`/${path}`, { size: bytes.length, checksum: `sha256-${digest.toHex()}` }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function answerVendored(pathname: string): Promise<Response> {
  if (!/^\/@[\w@./-]+$/.test(pathname)) return notFound();
  try {
    return respond(pathname, await Deno.readTextFile(new URL(`.${pathname}`, VENDOR)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return notFound();
    throw error;
  }
}

function notFound(): Response {
  return new Response("Not found", { status: 404 });
}

function respond(path: string, text: string): Response {
  const type = path.endsWith(".json")
    ? "application/json"
    : path.endsWith(".ts")
    ? "text/typescript"
    : "text/javascript";
  return new Response(text, { headers: { "content-type": type } });
}
