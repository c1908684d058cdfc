// The commands of the pages and messages, typed in a folder that somebody else wrote.
import { assert, assertEquals } from "@std/assert";
import { DENO, runProcess } from "../support/deno_process.ts";
import { type JsrRegistry, startJsrRegistry } from "../support/jsr_registry.ts";
import { tempDir } from "../support/temp_home.ts";

const CLI = "jsr:@validmind/auth/cli";
/** Leaves a mark where it runs. */
const FOREIGN = `Deno.writeTextFileSync(Deno.env.get("MARK"), ""); export const main = () => {};`;
const EXPORTS = { name: "@validmind/auth", version: "0.1.0", exports: { "./cli": "./evil.ts" } };
const PACKAGES = ["oauth4webapi", "uqr"];

type Files = Record<string, unknown>;

/** Foreign packages in a folder's `node_modules`. */
const NODE_MODULES: Files = Object.fromEntries(PACKAGES.flatMap((name) => [
  [`node_modules/${name}/package.json`, { name, version: "3.8.9", main: "i.js", type: "module" }],
  [`node_modules/${name}/i.js`, FOREIGN],
]));

/** The files of a hostile folder; `other` is a registry that no command may ask. */
const FOLDERS: Record<string, (registry: JsrRegistry, other: string) => Files> = {
  "imports of the entry": () => ({ "deno.json": { imports: { [CLI]: "./evil.ts" } } }),
  "imports of a dependency": () => ({
    "deno.jsonc": { imports: { "npm:oauth4webapi@^3.8.8": "./evil.ts" } },
  }),
  "scopes of an import map": ({ url }) => ({
    "deno.json": { importMap: "./map.json" },
    "map.json": { scopes: { [`${url}/`]: { "npm:oauth4webapi@^3.8.8": "./evil.ts" } } },
  }),
  "a link": () => ({
    "deno.json": { links: ["./l"] },
    "l/deno.json": EXPORTS,
    "l/evil.ts": FOREIGN,
  }),
  "a workspace": () => ({
    "deno.json": { workspace: ["./l"] },
    "l/deno.json": EXPORTS,
    "l/evil.ts": FOREIGN,
  }),
  "a package.json": () => ({
    "package.json": { dependencies: Object.fromEntries(PACKAGES.map((name) => [name, "3.8.9"])) },
    ...NODE_MODULES,
  }),
  "a node_modules": () => ({ "deno.json": { nodeModulesDir: "manual" }, ...NODE_MODULES }),
  "a vendor folder": ({ url }) => ({
    "deno.json": { vendor: true },
    ...Object.fromEntries(
      [url.replace("://", "_").replace(":", "_"), "jsr.io"].flatMap((host) => [
        [`vendor/${host}/@validmind/auth/0.1.0_meta.json`, { ...EXPORTS, manifest: {} }],
        [`vendor/${host}/@validmind/auth/0.1.0/evil.ts`, FOREIGN],
      ]),
    ),
  }),
  "an .npmrc": (_, other) => ({ "deno.json": {}, ".npmrc": `registry=${other}\n` }),
  "a lock file": (_, other) => ({
    "deno.json": {},
    "deno.lock": {
      version: "5",
      specifiers: { "npm:oauth4webapi@^3.8.8": "3.8.0" },
      npm: { "oauth4webapi@3.8.0": { integrity: "sha512-x", tarball: `${other}/evil.tgz` } },
    },
  }),
  "an .env and preloads": (_, other) => ({
    "deno.json": { preload: ["./evil.ts"] },
    ".env": `JSR_URL=${other}\nNPM_CONFIG_REGISTRY=${other}\n`,
  }),
};

Deno.test(
  "a folder that somebody else wrote runs no code of its own in the commands of the pages",
  {
    ignore: Deno.build.os === "windows", // the installed program is a shell script
  },
  async (t) => {
    await using registry = await startJsrRegistry();
    await using home = await tempDir();
    const asked: string[] = [];
    await using other = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
      asked.push(url);
      return new Response(null, { status: 404 });
    });
    const mark = `${home.path}/mark`;
    const env = {
      ...registry.env,
      HOME: home.path,
      DENO_INSTALL_ROOT: home.path,
      MARK: mark,
      VM_OIDC_ISSUER: "http://127.0.0.1:9",
      VM_OIDC_CLIENT_ID: "my-client",
    };
    const install = ["install", "--global", "--no-config", "--name", "validmind-auth", "-A", CLI];
    assertEquals((await runProcess([DENO, ...install], { env, cwd: home.path })).code, 0);
    const commands = {
      "deno run": [DENO, "run", "-A", "--no-config", CLI, "login"],
      "the installed program": [`${home.path}/bin/validmind-auth`, "login"],
      "deno install": [DENO, ...install.with(4, "again")],
    };
    /** Whether foreign code ran, or a foreign registry was asked. */
    const isTaken = async (command: string[], cwd: string) => {
      asked.length = 0;
      await runProcess(command, { env, cwd, timeoutMs: 60_000 });
      const isMarked = await Deno.remove(mark).then(() => true, () => false);
      return isMarked || asked.length > 0;
    };
    let works = 0;
    for (const [name, filesOf] of Object.entries(FOLDERS)) {
      await t.step(name, async () => {
        const folder = `${home.path}/${name.replaceAll(" ", "-")}`;
        const files = filesOf(registry, `http://127.0.0.1:${other.addr.port}`);
        for (const [path, content] of Object.entries({ "evil.ts": FOREIGN, ...files })) {
          const text = typeof content === "string" ? content : JSON.stringify(content);
          await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
          await Deno.writeTextFile(`${folder}/${path}`, text);
        }
        for (const [what, command] of Object.entries(commands)) {
          assertEquals(await isTaken(command, folder), false, what);
        }
        if (await isTaken([DENO, "run", "-A", CLI, "login", "--json"], folder)) works++;
      });
    }
    assert(works > 8, `${works} of the folders work without --no-config`);
  },
);
