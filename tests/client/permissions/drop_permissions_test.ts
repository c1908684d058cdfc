import { assertObjectMatch } from "@std/assert";
import {
  FileCredentialsBackend,
  formatPermissionFlags,
  requiredPermissions,
} from "@validmind/auth";
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
        stillGranted: [...new Set(result.stillGranted.map(({ name }) => name))].sort().join(),
        ping: await attempt(() => session.get("ping")),
        refresh: await attempt(() => session.accessToken({ forceRefresh: true })),
      }));
    `,
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

const ALL = "env,net,read,write";

/** The call, what is granted before, and what a child sees after it. */
const DROPS: [name: string, drop: string, wide: boolean, seen: Partial<Seen>][] = [
  ["a session drops the variables, and goes on to call and to refresh", "", false, {
    write: "granted",
    env: "prompt",
    run: "prompt",
    net: "granted",
    stillGranted: "",
    refresh: "ok",
  }],
  ["a session that will not refresh drops store and provider, too", "{ refresh: false }", false, {
    write: "prompt",
    env: "prompt",
    run: "prompt",
    net: "prompt",
    stillGranted: "",
    refresh: "permission_required",
  }],
  ["of a grant of everything nothing narrow can be taken", "{ refresh: false }", true, {
    write: "granted",
    env: "granted",
    stillGranted: ALL,
  }],
  ["as in a kernel, whole kinds go with `all`", "{ refresh: false, all: true }", true, {
    write: "prompt",
    env: "prompt",
    run: "prompt",
    stillGranted: "net",
    refresh: "permission_required",
  }],
  ["a session in a kernel that will refresh keeps its files", "{ all: true }", true, {
    write: "granted",
    env: "prompt",
    run: "prompt",
    net: "granted",
    stillGranted: "",
    refresh: "ok",
  }],
];

for (const [name, drop, wide, expected] of DROPS) {
  Deno.test(`dropPermissions: ${name}`, async () => {
    const seen = await afterDrop(drop, wide);
    assertObjectMatch(seen, { ...expected, ping: "ok" });
  });
}
