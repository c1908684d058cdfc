import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  credentialKey,
  FileCredentialsBackend,
  formatPermissionFlags,
  requiredPermissions,
} from "@validmind/auth";
import { entry } from "../../support/entries.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { runDeno } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

/** What a child saw: states after the drop, by name, and what each later step came to. */
type Seen = Record<string, string>;

async function afterDrop(drop: string, wide: boolean): Promise<Seen> {
  await using folder = await tempDir();
  await using provider = await startOidcProvider({ interval: 0.05 });
  await using api = await startTrackingApi();
  provider.autoApprove = true;
  const path = `${folder.path}/credentials.json`;
  const { issuer, clientId } = provider;
  const needs = await requiredPermissions({
    issuer,
    clientId,
    model: "m",
    apiHost: api.apiHost,
    credentialsBackend: new FileCredentialsBackend({ path }),
  });
  const scoped = formatPermissionFlags(needs).split(" ");
  const { stdout, stderr } = await runDeno({
    flags: wide ? ["-A"] : scoped,
    code: `
      import { FileCredentialsBackend, init } from "@validmind/auth";
      const session = await init({
        issuer: "${issuer}", clientId: "${clientId}", model: "m", apiHost: "${api.apiHost}",
        credentialsBackend: new FileCredentialsBackend({ path: ${JSON.stringify(path)} }),
        onDeviceCode: () => {},
      });
      const result = await session.dropPermissions(${drop});
      const state = (d: Deno.PermissionDescriptor) => Deno.permissions.querySync(d).state;
      const attempt = (fn: () => Promise<unknown>) => fn().then(() => "ok", (e) => e.code ?? e.name);
      console.log(JSON.stringify({
        write: state({ name: "write", path: ${JSON.stringify(folder.path)} }),
        env: state({ name: "env", variable: "VM_API_HOST" }),
        run: state({ name: "run" }),
        net: state({ name: "net", host: "${new URL(issuer).host}" }),
        stillGranted: result.stillGranted.map(({ name }) => name).sort().join(),
        ping: await attempt(() => session.get("ping")),
        refresh: await attempt(() => session.accessToken({ forceRefresh: true })),
      }));
    `,
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

Deno.test("a session drops the variables, and goes on to call and to refresh", async () => {
  assertEquals(await afterDrop("", false), {
    write: "granted",
    env: "prompt",
    run: "prompt",
    net: "granted",
    stillGranted: "",
    ping: "ok",
    refresh: "ok",
  });
});

Deno.test("a session that will not refresh drops the store and the provider, too", async () => {
  assertEquals(await afterDrop("{ refresh: false }", false), {
    write: "prompt",
    env: "prompt",
    run: "prompt",
    net: "prompt",
    stillGranted: "",
    ping: "ok",
    refresh: "permission_required",
  });
});

Deno.test("of a grant of everything nothing narrow can be taken, and the result says so", async () => {
  const { env, write, stillGranted, ping } = await afterDrop("{ refresh: false }", true);
  assertEquals({ env, write, ping }, { env: "granted", write: "granted", ping: "ok" });
  assertEquals([...new Set(stillGranted!.split(","))], ["env", "net", "read", "write"]);
});

Deno.test("as in a notebook kernel, whole kinds go with `all`", async () => {
  const { net: _, ...seen } = await afterDrop("{ refresh: false, all: true }", true);
  assertEquals(seen, {
    write: "prompt",
    env: "prompt",
    run: "prompt",
    stillGranted: "net",
    ping: "ok",
    refresh: "permission_required",
  });
});

Deno.test("a session in a kernel that will refresh keeps its files, and nothing that it does not use", async () => {
  assertEquals(await afterDrop("{ all: true }", true), {
    write: "granted",
    env: "prompt",
    run: "prompt",
    net: "granted",
    stillGranted: "",
    ping: "ok",
    refresh: "ok",
  });
});

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };

for (const missing of ["net", "read", "write"]) {
  Deno.test(`a refresh without ${missing} permission: nothing is sent, and all flags are named`, async () => {
    await using home = await tempDir();
    const folder = join(home.path, ".validmind");
    await new FileCredentialsBackend({ path: `${folder}/credentials.json` })
      .put(
        credentialKey(OIDC.issuer, OIDC.clientId),
        entry({ expires_at: "2020-01-01T00:00:00Z" }),
      );
    const granted = {
      net: `--allow-net=${missing === "net" ? "elsewhere.example.com" : "login.example.com:443"}`,
      read: `--allow-read=${folder}${missing === "read" ? "/credentials.json" : ""}`,
      ...(missing === "write" ? {} : { write: `--allow-write=${folder}` }),
    };
    const { stdout } = await runDeno({
      code: `
        globalThis.fetch = () => { throw new Error("sent"); };
        const { createSession } = await import("@validmind/auth");
        await createSession(${
        JSON.stringify(OIDC)
      }).catch(({ code, message }) => console.log(code, message));
      `,
      flags: ["--allow-env", ...Object.values(granted)],
      env: { HOME: home.path },
    });
    assertStringIncludes(
      stdout,
      "permission_required Cannot sign in: Deno does not permit",
    );
    assertStringIncludes(stdout, "--allow-net=login.example.com:443");
    assertStringIncludes(stdout, `--allow-write=${folder}`);
  });
}
