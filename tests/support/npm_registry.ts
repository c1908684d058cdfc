import { copy } from "@std/fs";
import { join } from "@std/path";
import { NPM, packNpm } from "../../.ci/pack_npm.ts";
import { denoInfo, mustRun } from "./deno_process.ts";
import { readTarball } from "./read_tarball.ts";
import { tempDir } from "./temp_home.ts";

/** npm's packages that the package needs. The keychain's libraries are for Deno alone. */
export const NPM_DEPENDENCIES: readonly string[] = ["oauth4webapi", "uqr"];

/** Options of {@linkcode startNpmRegistry}. */
export interface NpmRegistryOptions {
  /** The packages that are not there. */
  without?: readonly string[];
  /** How long each answer takes, in milliseconds. @default {0} */
  delayMs?: number;
}

/** An npm registry on a loopback port. */
export type NpmRegistry = Awaited<ReturnType<typeof startNpmRegistry>>;

/** What a registry tells of the one version of a package that it has. */
interface Published {
  readonly tarball: Uint8Array<ArrayBuffer>;
  readonly manifest: { name: string; version: string };
}

/** Starts an npm registry on this machine, with this package and those that it needs. */
export async function startNpmRegistry({ without = [], delayMs = 0 }: NpmRegistryOptions = {}) {
  const work = await tempDir("validmind-auth-npm-");
  const tarballs = [await packNpm(join(work.path, "own"))];
  for (const name of NPM_DEPENDENCIES) tarballs.push(await packCached(name, work.path));
  const packages = new Map<string, Published>();
  for (const path of tarballs) {
    const published = await readPackage(path);
    packages.set(published.manifest.name, published);
  }
  for (const name of without) packages.delete(name);
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const url = new URL(request.url);
    requests.push(decodeURIComponent(url.pathname));
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    return await (request.method === "PUT" ? receive(request, packages) : answer(url, packages));
  });
  const { port } = server.addr;
  return {
    /** The variables of a process that has this registry and nothing of another one. */
    env: {
      NPM_CONFIG_REGISTRY: `http://127.0.0.1:${port}/`,
      DENO_DIR: join(work.path, "deno"),
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
    },
    /** The tarball of this package. */
    tarball: tarballs[0]!,
    /** The paths that were asked for, in order. */
    requests,
    /** Publishes a tarball here, by npm itself. */
    publish: async (tarball: string) => {
      const url = `http://127.0.0.1:${port}/`;
      const args = ["publish", tarball, `--registry=${url}`, "--ignore-scripts"];
      const env = { HOME: work.path, npm_config_cache: join(work.path, "cache") };
      const own = `--//127.0.0.1:${port}/:_authToken=none`;
      await mustRun([NPM, ...args, own], { cwd: work.path, env, timeoutMs: 120_000 });
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await work[Symbol.asyncDispose]();
    },
  };
}

async function answer(url: URL, packages: Map<string, Published>): Promise<Response> {
  const [name = "", version] = decodeURIComponent(url.pathname).slice(1).split("/-/");
  const published = packages.get(name);
  if (published === undefined) return Response.json({ error: "Not found" }, { status: 404 });
  const { tarball, manifest } = published;
  if (version !== undefined) return new Response(tarball);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", tarball));
  const dist = {
    tarball: `${url.origin}/${name}/-/${manifest.version}.tgz`,
    integrity: `sha512-${digest.toBase64()}`,
  };
  return Response.json({
    name,
    "dist-tags": { latest: manifest.version },
    versions: { [manifest.version]: { ...manifest, dist } },
  });
}

/** Takes a package that `npm publish` sends. A version is published once. */
async function receive(request: Request, packages: Map<string, Published>): Promise<Response> {
  const { name, versions, _attachments } = await request.json();
  const [manifest] = Object.values<Published["manifest"]>(versions);
  const [attached] = Object.values<{ data: string }>(_attachments);
  if (packages.has(name)) {
    const error = "You cannot publish over the previously published versions.";
    return Response.json({ error }, { status: 403 });
  }
  packages.set(name, { manifest: manifest!, tarball: Uint8Array.fromBase64(attached!.data) });
  return Response.json({ ok: true }, { status: 201 });
}

async function readPackage(path: string): Promise<Published> {
  const tarball = await Deno.readFile(path);
  const texts = await readTarball(tarball, (name) => /^[^/]+\/package\.json$/.test(name));
  const [manifest = "{}"] = texts.values();
  return { tarball, manifest: JSON.parse(manifest) };
}

/** The tarball of a package that Deno has in its cache, by registry and version. */
async function packCached(name: string, work: string): Promise<string> {
  const folder = join(work, name);
  await copyCached(name, join(folder, "package"));
  await mustRun(["tar", "-czf", `${folder}.tgz`, "-C", folder, "package"]);
  return `${folder}.tgz`;
}

/** Takes a package without dependencies from Deno's cache. */
export async function copyCached(name: string, to: string): Promise<void> {
  const { npmCache } = await denoInfo<{ npmCache: string }>(["--no-config"]);
  for (const registry of Deno.readDirSync(npmCache)) {
    const folder = join(npmCache, registry.name, name);
    const entries = await Deno.stat(folder).then(() => Array.from(Deno.readDirSync(folder)))
      .catch(() => []);
    const version = entries.filter(({ isDirectory }) => isDirectory).at(-1);
    if (version !== undefined) return await copy(join(folder, version.name), to);
  }
  throw new Error(`Cannot find ${name} in ${npmCache}: run \`deno task check\` first.`);
}
