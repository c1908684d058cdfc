import { assertObjectMatch } from "@std/assert";
import {
  FileCredentialsBackend,
  formatPermissionFlags,
  requiredPermissions,
} from "@validmind/auth";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { runDeno } from "../../support/deno_process.ts";
import { wordsIn } from "../../support/permission_flags.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

/** What a child saw: states after the drop, by name, and what each later step came to. */
type Seen = Record<string, string>;

async function afterDrop(drop: string, wide: boolean, more = ""): Promise<Seen> {
  await using folder = await tempDir();
  await using provider = await startOidcProvider({ interval: 0.05 });
  await using api = await startTrackingApi();
  provider.autoApprove = true;
  const path = `${folder.path}/credentials.json`;
  const { issuer, clientId } = provider;
  const options = { issuer, clientId, model: "m", apiHost: api.apiHost };
  const credentialsBackend = new FileCredentialsBackend({ path });
  const needs = await requiredPermissions({ ...options, credentialsBackend });
  const { stdout, stderr } = await runDeno({
    flags: wide ? ["-A"] : wordsIn(formatPermissionFlags(needs)),
    code: `
      import { FileCredentialsBackend, init, MemoryCredentialsBackend } from "@validmind/auth";
      const session = await init({
        ...${JSON.stringify(options)},
        credentialsBackend: new FileCredentialsBackend({ path: ${JSON.stringify(path)} }),
        onDeviceCode: () => {},
        ${more}
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
        advice: await session.accessToken({ forceRefresh: true }).catch((e) => e.remedy),
      }));
    `,
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

const [DROPPED, REFRESHES] = [{ env: "prompt", run: "prompt" }, { refresh: "ok", net: "granted" }];
const ENDS = {
  write: "prompt",
  refresh: "permission_required",
  advice: "Start the program again.", // not with the flags that it had
};

/** The call, what is granted before, what a child sees after it, and options of its session. */
const DROPS: [string, drop: string, wide: boolean, seen: Partial<Seen>, more?: string][] = [
  ["a session drops the variables, and goes on to call and to refresh", "", false, {
    ...DROPPED,
    ...REFRESHES,
    write: "granted",
    stillGranted: "",
  }],
  ["a session that will not refresh drops store and provider, too", "{ refresh: false }", false, {
    ...DROPPED,
    ...ENDS,
    net: "prompt",
    stillGranted: "",
  }],
  ["of a grant of everything nothing narrow can be taken", "{ refresh: false }", true, {
    write: "granted",
    env: "granted",
    stillGranted: "env,net,read,write",
  }],
  ["as in a kernel, whole kinds go with `all`", "{ refresh: false, all: true }", true, {
    ...DROPPED,
    ...ENDS,
    stillGranted: "net",
  }],
  ["a session in a kernel that will refresh keeps its files", "{ all: true }", true, {
    ...DROPPED,
    ...REFRESHES,
    write: "granted",
    stillGranted: "",
  }],
  [
    "one with a fetch of its own keeps the network",
    "{ all: true }",
    true,
    { ...DROPPED, ...REFRESHES },
    "fetch: (url, init) => fetch(url, init),",
  ],
  [
    "a request to a denied provider does not keep the process from ending",
    "{ refresh: false }",
    false,
    { refresh: "permission_required", net: "prompt" },
    "credentialsBackend: new MemoryCredentialsBackend(),",
  ],
];

for (const [name, drop, wide, expected, more] of DROPS) {
  Deno.test(`dropPermissions: ${name}`, async () => {
    assertObjectMatch(await afterDrop(drop, wide, more), { ...expected, ping: "ok" });
  });
}
