/**
 * Runs the examples in the documentation as they stand, against a provider and an API on loopback:
 * `deno run -A tests/support/doc_tests.ts`. Its own arguments go on to `deno test`. `deno task check` has their
 * types. They share an isolate: `deno test --doc` gives each its own, which took most of their CPU time.
 */
import { walk } from "@std/fs/walk";
import { fromFileUrl, relative } from "@std/path";
import { DENO, ROOMY, spawnProcess } from "./deno_process.ts";
import { makeKey } from "./jwt.ts";
import { startOidcProvider } from "./oidc_provider.ts";
import { tempDir } from "./temp_home.ts";
import { startTrackingApi } from "./tracking_api.ts";

const ROOT = new URL("../../", import.meta.url);
/** The pages and sources that are published. */
const PLACES = /^(?:README\.md|mod\.ts|(?:backends|client)\/.*\.(?:md|ts))$/;
/** An example that runs, in a page or in a comment of a source. */
const EXAMPLE = /^( *\* )?```ts\n(.*?)^\1```$/gms;
const IMPORT = /^import [^;]*;$/gm;

/** Writes a test for each example, and gives a module that imports them all. */
async function writeTests(folder: string): Promise<string> {
  const files = await Array.fromAsync(walk(ROOT, { skip: [/\/(?:vendor|tests|\.git)$/] }));
  const names = files.map(({ path }) => relative(fromFileUrl(ROOT), path).replaceAll("\\", "/"));
  const imports: string[] = [];
  for (const name of names.filter((one) => PLACES.test(one)).sort()) {
    const text = await Deno.readTextFile(new URL(name, ROOT));
    for (const { 2: example, index } of text.matchAll(EXAMPLE)) {
      const line = text.slice(0, index).split("\n").length;
      const file = `./${imports.length}.ts`;
      const code = name.endsWith(".ts") ? example!.replaceAll(/^ *\* ?/gm, "") : example!;
      await Deno.writeTextFile(`${folder}/${file}`, testOf(`${name}#${line}`, code));
      imports.push(`import "${file}";\n`);
    }
  }
  await Deno.writeTextFile(`${folder}/all_test.ts`, imports.join(""));
  return `${folder}/all_test.ts`;
}

function testOf(name: string, code: string): string {
  const imports = code.match(IMPORT) ?? [];
  // A function exports nothing.
  const body = code.replaceAll(IMPORT, "").replaceAll(/^export /gm, "");
  return `import { testExample } from "${new URL("own_example.ts", import.meta.url)}";
${imports.join("\n")}
testExample("${name}", async () => {\n${body}});\n`;
}

async function main(args: string[]): Promise<number> {
  await using home = await tempDir();
  await using examples = await tempDir();
  const key = await makeKey("ES256");
  const keyFile = `${home.path}/job-key.pem`;
  await Deno.writeTextFile(keyFile, key.pem, { mode: 0o600 });
  await using provider = await startOidcProvider({
    interval: 0.05,
    configure: (config) => {
      Object.assign(config.features!, {
        dPoP: { enabled: true },
        clientCredentials: { enabled: true },
      });
      Object.assign(config, { clientAuthMethods: ["none", "private_key_jwt"] });
      config.clients = [...config.clients!, {
        client_id: "my-job",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "private_key_jwt",
        jwks: { keys: [key.publicJwk] },
      }];
    },
  });
  await using api = await startTrackingApi({
    accepts: (bearer) => provider.isActive(bearer),
    issuer: provider.issuer,
  });
  provider.autoApprove = true;
  // A person for whom a platform team has set all variables, and not CI.
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => !/^(?:VM_|CI$)/.test(name));
  const flags = ["--quiet", "-A", "--no-check", "--unstable-kv", ROOMY, ...args];
  const module = await writeTests(examples.path);
  const { code } = await spawnProcess([DENO, "test", ...flags, module], {
    stdout: "inherit",
    stderr: "inherit",
    cwd: ROOT,
    env: {
      ...Object.fromEntries(own),
      HOME: home.path,
      TMPDIR: home.path, // for the folders that examples leave
      VM_OIDC_ISSUER: provider.issuer,
      VM_OIDC_CLIENT_ID: provider.clientId,
      VM_API_HOST: api.apiHost,
      VM_API_MODEL: "cl123",
      JOB_KEY_FILE: keyFile,
      TOKENS_KEY: crypto.getRandomValues(new Uint8Array(32)).toBase64(),
    },
  }).status;
  return code;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
