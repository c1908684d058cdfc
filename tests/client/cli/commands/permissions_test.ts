import { assertArrayIncludes, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { HOME_VARIABLE } from "../../../../backends/common/environment.ts";
import { quoteArgument } from "../../../../backends/common/runtime.ts";
import { ALL, runDeno } from "../../../support/deno_process.ts";
import { startHttpServer } from "../../../support/http_server.ts";
import { startScriptedProvider } from "../../../support/scripted_provider.ts";
import { wordsIn } from "../../../support/permission_flags.ts";
import { cliTest } from "../cli_world.ts";

cliTest("permissions: a command line, and in the JSON alone a permission set", async (world) => {
  const host = new URL(world.provider.issuer).host;
  const variables = ["ISSUER", "CLIENT_ID", "INTERACTIVE", "NO_PERSIST"]
    .concat(["DENO_CREDENTIALS_BACKEND", "CREDENTIALS_BACKEND"])
    .map((name) => `VM_OIDC_${name}`).join().replace("_INTERACTIVE", "$&,CI,VM_AUTH_DEBUG");
  const access = ["read", "write"].map((name) => quoteArgument(`--allow-${name}=${world.folder}`));
  const line = `deno run ${access.join(" ")} ` +
    `--allow-net=api.example.com:443,${host} --allow-env=` +
    `${variables},${HOME_VARIABLE} script.ts`;
  const call = "permissions --api-host https://api.example.com/v1/";
  const flags = ["--allow-env", "--allow-read"];
  const { stdout } = await world.says(call, 0, { flags });
  assertEquals(stdout, `${line}\n`);
  // A settings file that may not be looked for may be there.
  await world.says(call, 0, /^deno run .*settings\.json/, { flags: ["--allow-env"] });
  const { json } = await world.says(`${call} --json`, 0);
  assertEquals(json.permissions.validmind.net, ["api.example.com:443", host]);
  assertEquals(world.provider.requests, []);
});

cliTest("permissions: a variable that forbids to ask, if set later, is obeyed", async (world) => {
  const { json } = await world.says("permissions --json", 0);
  const code = `import { createSession } from "@validmind/auth";
  await createSession().catch((error) => console.log(error.code));`;
  const process = { code, flags: wordsIn(json.flags), cwd: world.home };
  for (const [name, value] of [["VM_OIDC_INTERACTIVE", "0"], ["CI", "true"]] as const) {
    const { stdout, stderr } = await runDeno({
      ...process,
      env: { ...world.env, [name]: value },
    });
    assertEquals([stdout, stderr], ["login_required\n", ""]);
  }
  assertEquals(world.provider.requests, []);
});

cliTest("permissions: an optional variable that is set is named", async (world) => {
  const env = { VM_OIDC_SCOPE: "openid", VM_API_HOST: "https://api.example.com/" };
  const { json } = await world.says("permissions --json", 0, { env });
  assertMatch(json.flags, /--allow-net=\S*api\.example\.com:443.*--allow-env=\S*VM_OIDC_SCOPE/);
  const scope = json.needs.find(({ variable }: { variable?: string }) =>
    variable === "VM_OIDC_SCOPE"
  );
  assertEquals([scope.name, scope.need], ["env", "optional"]);
  const init = /--allow-net=\S*localhost:5000\S* --allow-env=\S*VM_API_MODEL/; // the default host
  await world.says("VM_API_MODEL=cl123 permissions --for init --json", 0, init);
});

cliTest("permissions: Deno KV comes with its unstable flag", async (world) => {
  const options = { path: "/srv/vm/tokens.db" };
  const backend = { name: "kv", options };
  await world.write(options, "kv.json");
  await world.write({ backends: ["memory", backend] }, "fallback.json");
  await world.write({ backend, key: { env: "KEY" } }, "encrypted.json");
  const script = /^deno run --unstable-kv '?--allow-read=\S*\/srv\/vm/;
  for (const name of ["kv", "fallback", "encrypted"]) {
    await world.says(`permissions --backend ${name} --backend-options ${name}.json`, 0, script);
  }
  const kv = "--backend kv --backend-options kv.json";
  const cli =
    /^deno install --global --force --no-config --name validmind-auth --unstable-kv '?--allow-read=/;
  await world.says(`permissions --for cli ${kv}`, 0, cli);
});

cliTest("permissions: the page's store comes with its module and database", async (world) => {
  const store = fromFileUrl(
    new URL("../../../backends/testing/sqlite_store.ts", import.meta.url),
  );
  const path = `${world.home}/team.db`;
  const env = {
    VM_OIDC_CREDENTIALS_BACKEND: `${store}:SqliteStore`,
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path }),
  };
  const { needs } = (await world.says("permissions --json", 0, { env })).json;
  const found = needs.map(({ name, path }: { name: string; path?: string }) => `${name} ${path}`);
  assertArrayIncludes(found, [`read ${store}`, `read ${path}`, `write ${path}`]);
});

cliTest("permissions: of a backend whose options name variables, these too", async (world) => {
  const backendOptions = { path: "/srv/${STORE_USER}/c.json" };
  await world.write(backendOptions, "file.json");
  const variables = {
    VM_OIDC_DENO_CREDENTIALS_BACKEND: "file",
    VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(backendOptions),
  };
  const cases: [flags: string, env: Record<string, string>][] = [
    ["--for cli --backend file --backend-options file.json", {}],
    ["--for cli", variables],
    ["--for script", variables],
  ];
  for (const [flags, more] of cases) {
    const env = { STORE_USER: "anna", ...more };
    const { json } = await world.says(`permissions --json ${flags}`, 0, { env });
    assertMatch(json.flags, /--allow-env=\S*\bSTORE_USER\b/, flags);
  }
  await world.write({ backend: "file", backendOptions }); // a file elsewhere names no store
  const { json } = await world.says("STORE_USER=anna permissions --json --for cli", 0);
  assertMatch(json.flags, /--allow-env=\S*\bSTORE_USER\b/);
  const flags = ["--unstable-kv", "--allow-read", "--allow-env=HOME"];
  const denied = "env STORE_USER (to complete the backend's options)";
  await world.says("migrate --from kv --to file --to-options file.json", 1, denied, { flags });
});

cliTest("permissions: --discover asks the provider for its other hosts", async (world) => {
  const discovery = { jwks_uri: "https://keys.example.com/jwks" };
  await using provider = await startScriptedProvider({ discovery });
  for (const kind of ["script", "cli"]) {
    const client = `--issuer ${provider.issuer} --client-id ${provider.clientId}`;
    const line = `permissions --json ${client} --for ${kind}`;
    await world.says(line, 0, "!keys.example.com");
    await world.says(`${line} --discover`, 0, /--allow-net=\S*keys\.example\.com:443/);
  }
});

/** The imports of this repository, with those of @std/path in `vendor/`, which is not read otherwise then. */
async function importMap(): Promise<string> {
  const root = new URL("../../../../", import.meta.url);
  const read = async (path: string) => JSON.parse(await Deno.readTextFile(new URL(path, root)));
  const { imports, exports, name } = await read("deno.json");
  const folder = "vendor/jsr.io/@std/path/";
  const version = (await Array.fromAsync(Deno.readDir(new URL(folder, root))))
    .find(({ isDirectory }) => isDirectory)!.name;
  const paths: Record<string, string> = (await read(`${folder}${version}_meta.json`)).exports;
  const own = Object.entries<string>(exports).map(([at, file]) => [
    name + at.slice(1),
    new URL(file, root).href,
  ]);
  const std = Object.entries(paths).map(([at, file]) => [
    `@std/path${at.slice(1)}`,
    new URL(`${folder}${version}/${file}`, root).href,
  ]);
  return JSON.stringify({ imports: { ...imports, ...Object.fromEntries([...own, ...std]) } });
}

const STORE = `
import { END } from "../more/second.ts";
import type { Row } from "./types_alone.ts";
// import "./not_there.ts";
export class Own {
  get(): Row {
    const { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: client_id } = Deno.env.toObject();
    return { issuer, client_id, access_token: "stored", expires_at: END };
  }
  put() {}
  delete() {}
  requiredPermissions() {
    return [{ name: "env" }];
  }
}`;

cliTest("permissions: a store's own module needs file, imports and their hosts", async (world) => {
  const map = await world.write(await importMap(), "import_map.json");
  // For modules of a loopback host, which are not to stay in the repository.
  const noTrace = ["--no-lock", "--vendor=false", `--import-map=${map}`];
  const third = "export const END = '2099-01-01';";
  const types = { headers: { "content-type": "application/typescript" } };
  await using host = await startHttpServer(() => new Response(third, types));
  const store = await world.write(STORE, "own/store.ts");
  const more = await world.write(third, "more/third.ts");
  const code = `
    import { createSession } from "@validmind/auth";
    console.log(await (await createSession({ interactive: false })).accessToken());`;
  const inFallback = {
    VM_OIDC_CREDENTIALS_BACKEND: "fallback",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ backends: [`${store}:Own`] }),
  };
  const hosts = `${new URL(host.origin).host},jsr.io:443`;
  const cases = [
    ['export * from "./third.ts";', more, {}],
    [`export * from "${host.origin}/third.ts";`, hosts, {}],
    ['export * from "./third.ts";', more, inFallback],
  ] as const;
  for (const [text, part, chosen] of cases) {
    const second = await world.write(text, "more/second.ts");
    const env = { VM_OIDC_CREDENTIALS_BACKEND: "./own/store.ts:Own", ...chosen };
    const process = { env, flags: [...ALL, ...noTrace] };
    const { json: { flags }, stderr } = await world.says("permissions --json", 0, process);
    assertEquals(stderr, "");
    for (const one of [store, second, part]) {
      assertStringIncludes(
        wordsIn(flags).join(" ").replaceAll("\\", "/"),
        one.replaceAll("\\", "/"),
      );
    }
    assertEquals(/types_alone|not_there/.test(flags), false, flags);
    const run = { code, env: { ...world.env, ...env }, cwd: world.home };
    const told = await runDeno({ ...run, flags: [...noTrace, ...wordsIn(flags)] });
    assertEquals(told, { code: 0, stdout: "stored\n", stderr: "" });
    const less = [...noTrace, "--allow-env", `--allow-read=${store}`];
    const denied = await runDeno({ ...run, flags: less });
    assertMatch(denied.stderr, /permission_required\].*--allow-read=.*second\.ts/);
  }
});
