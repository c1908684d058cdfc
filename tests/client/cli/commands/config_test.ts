import { assertEquals, assertStringIncludes } from "@std/assert";
import { dirname } from "@std/path";
import { HOME_VARIABLE } from "../../../../backends/common/environment.ts";
import { quoteArgument } from "../../../../backends/common/runtime.ts";
import { wordsIn } from "../../../support/permission_flags.ts";
import { replace } from "../../../support/replace.ts";
import { isPosix } from "../../../support/sandbox.ts";
import { BY_KEY, cliTest, type CliWorld, NO_CLIENT, quoted, type Word } from "../cli_world.ts";

/** A test where no variable names provider and client. */
function configTest(name: string, run: (world: CliWorld) => Promise<void>): void {
  cliTest(`config: ${name}`, async (world) => {
    Object.assign(world.env, NO_CLIENT);
    await run(world);
  });
}

function client({ provider: { issuer, clientId } }: CliWorld) {
  return { issuer, clientId };
}

async function settingsIn(world: CliWorld): Promise<unknown> {
  return JSON.parse(await Deno.readTextFile(world.settingsPath));
}

const TWO = { backend: "file", backendOptions: { path: "${HOME}/two/tokens.json" } };

configTest("every command finds a sign-in by the settings file", async (world) => {
  await world.write(client(world));
  await world.says("login", 0);
  await world.says("doctor", 0, "issuer from settings file");
  for (const line of ["status", "token", "list", "doctor", "logout"]) {
    assertEquals((await world.says(line, 0)).stderr, "");
  }
  assertEquals(world.backend.get(world.key), undefined);
});

configTest("a profile of the file has a provider and a store of its own", async (world) => {
  await world.write({ profiles: { two: { ...client(world), ...TWO } } });
  // The variables lead elsewhere: who types a profile means it.
  const env = { VM_OIDC_ISSUER: "https://other.example", VM_OIDC_CREDENTIALS_BACKEND: "memory" };
  await world.says("login --profile two", 0, { env });
  assertStringIncludes(await Deno.readTextFile(`${world.home}/two/tokens.json`), "profile:two|");
  for (const name of ["status", "token", "list"]) {
    await world.says(`${name} --profile two`, 0, { env });
  }
  const { json } = await world.says("VM_OIDC_PROFILE=two list --json", 0);
  assertEquals(json.sign_ins[0].profile, "two");
});

configTest("migrate moves entries to the store of the file", async (world) => {
  await world.signIn();
  await world.write({ ...client(world), ...TWO });
  await world.says("migrate --from file --delete-source", 0);
  assertStringIncludes(await Deno.readTextFile(`${world.home}/two/tokens.json`), world.key);
  await world.says("status", 0);
});

configTest("nothing is stored where the administrator's file does not allow it", async (world) => {
  const only = { backends: ["file"], issuers: [world.provider.issuer] };
  await world.write({ ...client(world), only });
  await world.says("config set scope openid", 0);
  assertEquals(await settingsIn(world), { ...client(world), only, scope: "openid" });
  const words = /^only.backends +\["file"\] +settings file$/m;
  await world.says("config", 0, words, /^only.issuers +\["http/m);
  await world.says("login", 0);
  await world.write({ path: `${world.home}/x.db` }, "kv.json");
  const kv = {
    backend: "--backend kv --backend-options kv.json",
    to: "--to kv --to-options kv.json",
  };
  for (const line of [`login ${kv.backend}`, `token ${kv.backend}`, `migrate ${kv.to}`]) {
    const { stderr } = await world.says(line, 1);
    for (const word of [world.settingsPath, "kv is not among", "file"]) {
      assertStringIncludes(stderr, word);
    }
  }
  const other = await world.says("login --issuer https://other.example --client-id x --json", 1);
  assertStringIncludes(other.stderr + other.stdout, "refused_by_settings");
  const reason = "memory is not among";
  await world.says("status --backend memory", 1, "Not signed in", reason, "!To sign in");
  await world.says("status --issuer https://other.example --client-id x", 1, "!To sign in");
  await world.says("status", 0);
  await world.says("logout", 0);
});

configTest("shows what applies, and from where, without a secret", async (world) => {
  const scope = "openid offline_access";
  const path = await world.write({ ...client(world), scope, profiles: { "two\nx": {} } });
  const env = {
    VM_OIDC_CLIENT_ID: "of-variable",
    VM_OIDC_CLIENT_SECRET: "s3cr3t-of-somebody",
    VM_OIDC_CREDENTIALS_BACKEND: "vault",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"auth": {"token": "s3cr3t-of-somebody"}}',
  };
  const { issuer } = world.provider;
  await world.says(
    "config --scope openid",
    0,
    `settings file  ${path} (profiles: two x)`,
    new RegExp(`^issuer +${issuer} +settings file$`, "m"),
    /^clientId +of-variable +VM_OIDC_CLIENT_ID$/m,
    /^scope +openid +--scope$/m,
    /^backend +vault +VM_OIDC_CREDENTIALS_BACKEND$/m,
    /^backendOptions +\(set, not shown\) +VM_OIDC_CREDENTIALS_BACKEND_KWARGS$/m,
    /^VM_OIDC_CLIENT_SECRET +\(set, not shown\) +VM_OIDC_CLIENT_SECRET, unused: that place does not/m,
    "!s3cr3t",
    { env },
  );
  const own = /^backend +memory +VM_OIDC_DENO_CREDENTIALS_BACKEND$/m;
  await world.says("VM_OIDC_DENO_CREDENTIALS_BACKEND=memory config", 0, own, "!backendOptions", {
    env,
  });
  const { file, settings } = (await world.says("config --json", 0, "!s3cr3t", { env })).json;
  assertEquals(file, { path, state: "read", profiles: ["two\nx"] });
  assertEquals(settings.issuer, { value: issuer, source: "settings file" });
  assertEquals(settings.VM_OIDC_CLIENT_SECRET.value, undefined);
});

cliTest("config: a setting of another client is shown as unused", async (world) => {
  const other = { ...client(world), clientId: "other" };
  const apiHost = "https://api.example.com/";
  await world.write({ ...other, apiHost, backend: "file", backendOptions: {} });
  await world.says(
    "VM_OIDC_CREDENTIALS_BACKEND=file config",
    0,
    /^apiHost +https:\S+ +settings file, unused: that place names another clientId than the variables$/m,
    /^backend +file +VM_OIDC_CREDENTIALS_BACKEND$/m,
  );
});

configTest("without a file it says where one would be", async (world) => {
  const none = `settings file  ${world.settingsPath} (not there)\n\nNothing is set.\n`;
  const { stdout } = await world.says("config", 0, none);
  const [, command] = /run: validmind-auth (.*)$/m.exec(stdout)!;
  await world.says(command!, 0);
  await world.says("config", 0, /^issuer +https:.* settings file$/m);
});

configTest("a file or a profile without a provider gets a line to keep one", async (world) => {
  await world.write({ profiles: { two: { scope: "openid" } } });
  await world.write({}, "own.json");
  await world.says("config", 0, "!To keep", { env: BY_KEY });
  for (const flags of ["", " --profile two", " --config own.json"]) {
    const { stdout } = await world.says(`config${flags}`, 0);
    const [, command] = /run: validmind-auth (.*)$/m.exec(stdout)!;
    await world.says(command!, 0);
    await world.says(`config${flags}`, 0, /^issuer +https:.* settings file$/m, "!To keep");
  }
});

cliTest("config: the line that keeps settings has the values in force", async (world) => {
  const { stdout } = await world.says("config --client-id 'my app'", 0);
  const [, command] = /run: validmind-auth (.*)$/m.exec(stdout)!;
  await world.says(command!, 0);
  const { issuer } = world.provider;
  assertEquals(await settingsIn(world), { issuer, clientId: "my app" });
});

configTest("without a place for the file it says why, not how to keep settings", async (world) => {
  const off = "VM_AUTH_CONFIG= config";
  await world.says(off, 0, "none: VM_AUTH_CONFIG turns it off", "!config set");
  const words = `none: ${HOME_VARIABLE} is not set`;
  await world.says(`${HOME_VARIABLE}= config`, 0, words, "!config set");
});

configTest("set writes a private file, and unset takes out", async (world) => {
  const { issuer, clientId } = world.provider;
  const path = world.settingsPath;
  await world.says(`config set issuer ${issuer} client-id ${clientId}`, 0);
  assertEquals(await settingsIn(world), { issuer, clientId });
  if (Deno.build.os !== "windows") assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  await world.says("login", 0);
  await world.says("config set model 1 timeoutMs 5000 open true flow device", 0);
  const parameters = `authorizationParameters '{"prompt":"login"}'`;
  for (const profile of ["two", "__proto__", "constructor"]) {
    await world.says(`config set --profile ${profile} ${parameters}`, 0);
  }
  // An address behind a proxy, whose listen comes later.
  await world.says("config set redirect-uri https://hub.example/cb", 0);
  await world.says("config set listen 127.0.0.1:8765", 0);
  await world.says("config unset listen redirect-uri", 0);
  const { json } = await world.says("config unset flow client-id --json", 0);
  assertEquals(json, { path, names: ["flow", "clientId"] });
  const profile = { authorizationParameters: { prompt: "login" } };
  assertEquals(await settingsIn(world), {
    issuer,
    model: "1", // a text, whatever it looks like
    timeoutMs: 5000,
    openBrowser: true,
    profiles: { two: profile, ["__proto__"]: profile, constructor: profile },
  });
});

configTest("set takes the names of flags and of options, and a value after =", async (world) => {
  const { issuer, clientId } = world.provider;
  await world.says(`config set issuer=${issuer} client-id ${clientId} model=a=b`, 0);
  assertEquals(await settingsIn(world), { issuer, clientId, model: "a=b" });
  await world.says("config unset model", 0);
  const options = JSON.stringify(TWO.backendOptions);
  await world.says(`config set backend=file 'backend-options=${options}'`, 0);
  assertEquals(await settingsIn(world), { issuer, clientId, ...TWO });
  const { stderr } = await world.says("config unset backend", 2);
  const [, command] = /take both out: (config unset .*)\.$/m.exec(stderr)!;
  await world.says(command!, 0);
  assertEquals(await settingsIn(world), { issuer, clientId });
});

configTest("set warns of a store that the next start refuses", async (world) => {
  for (
    const [options, words] of [
      ['{"pth":"x"}', 'Did you mean "path"?'],
      ['{"path":"~/x"}', 'not a plain path without "~/"'],
      ['{"lockTimeoutMs":5}', "!warning"],
    ]
  ) {
    await world.says(`config set backend file backendOptions '${options}'`, 0, words!);
  }
});

configTest("unset of what the file does not have says so, and writes nothing", async (world) => {
  for (const line of ["config unset model", "config unset --profile tow model"]) {
    await world.says(line, 0, "model: not in", world.settingsPath, "!unset ");
    const { json } = await world.says(`${line} --json`, 0);
    assertEquals(json, { path: world.settingsPath, names: [] });
  }
  assertEquals([...Deno.readDirSync(world.home)], []);
  const path = await world.write({ scope: "openid", profiles: {} });
  const before = await Deno.readTextFile(path);
  const words = `model: not in the profile tow of ${path}`;
  await world.says("config unset --profile tow model", 0, words);
  assertEquals(await Deno.readTextFile(path), before);
  await world.says("config unset scope model", 0, `unset scope in ${path}`, "model: not in");
  assertEquals(await settingsIn(world), { profiles: {} });
});

configTest("two changes at once are both kept; a killed one's temp file goes", async (world) => {
  await world.write({ model: "m" });
  const { settingsPath: path } = world;
  await Deno.writeTextFile(`${path}.tmp`, "half");
  const names = ["scope", "audience", "login-hint", "listen", "document"];
  const flags = ["-A"];
  const values: Record<string, string> = { listen: "127.0.0.1:8765" };
  await Promise.all(
    names.map((name) => world.says(`config set ${name} ${values[name] ?? "x"}`, 0, { flags })),
  );
  const keys = ["audience", "document", "listen", "loginHint", "model", "scope"];
  assertEquals(Object.keys(await settingsIn(world) as object).toSorted(), keys);
  const left = Array.from(Deno.readDirSync(dirname(path)), ({ name }) => name);
  assertEquals(left.filter((name) => name.endsWith(".tmp")), []);
});

const CHANGE = "Cannot change the settings:";

const REFUSED: [words: string, said: string][] = [
  ["isuer x", 'Did you mean "issuer"?'],
  ["timeout 5", 'Did you mean "timeoutMs"?'],
  ["clientSecret s3cr3t", "Set VM_OIDC_CLIENT_SECRET instead."],
  ["api-key s3cr3t", "Set VM_API_KEY instead."],
  ["--profile two flow divice", `${CHANGE} option "flow" is not one of auto, device`],
  ["flow divice", 'Did you mean "device"?'],
  ["dpop yes", `${CHANGE} option "dpop" is not true or false.`],
  ["--profile 'a|b' flow device", "--profile"],
  ["--profile two issuer ftp://x", "is not an http(s) URL"],
  ["timeoutMs long", `${CHANGE} option "timeoutMs" is not a number of milliseconds above 0.`],
  ...["prompt=login", "7"].map((value): [string, string] => [
    `authorizationParameters ${value}`,
    `${CHANGE} option "authorizationParameters" is not a plain object of strings`,
  ]),
  ["issuer ''", `${CHANGE} option "issuer" is empty. Correct it, or leave it out.`],
  ["scope=", 'option "scope" is empty'],
  ["open ' '", 'option "openBrowser" is empty'],
  ["timeoutMs -5", '"timeoutMs" is not a number of milliseconds above 0.'],
  ["timeoutMs=-5", '"timeoutMs" is not a number of milliseconds above 0.'],
  ["isuer=s3cr3t", 'Did you mean "issuer"?'],
  ["clientSecret=s3cr3t", "Set VM_OIDC_CLIENT_SECRET instead."],
  [`backendOptions '{"path":"x"}'`, 'no "backend" beside'],
  [`backend vault backendOptions '{"token":"s3cr3t"}'`, "is a secret"],
  ["scope openid model", "set NAME VALUE…"],
  [
    "--issuer=https://a.example model m",
    "a flag is unknown, missing or too many. Give it as config [list | set",
  ],
  ["--dpop", "set NAME VALUE…"],
  ["scope=openid model", "set NAME VALUE…"],
  ["issuer ftp://x", "issuer (VM_OIDC_ISSUER, --issuer) is not an http(s) URL"],
  ["client-id 'a|b'", "--client-id) has a"],
  [
    "api-host http://a.example",
    "(VM_API_HOST, --api-host) is http://a.example, which would get secrets",
  ],
  ["redirect-uri nonsense", "redirectUri (VM_OIDC_REDIRECT_URI, --redirect-uri) is not an address"],
  ["listen 0.0.0.0:1", "listen (VM_OIDC_LISTEN, --listen) is not a loopback host"],
  [
    `authorizationParameters '{"state":"x"}'`,
    "authorizationParameters (--parameter) takes no state",
  ],
  ["clientKeyFile /a clientAssertionFile /b", "exclude each other"],
  ["dpop true bearer id_token", "is not for an ID token"],
  ["model '\u00e9\u20ac'", "no HTTP header can carry"],
  ["backend redis", 'Cannot use backend="redis": it is neither'],
  ["backend ./store.ts:Store", "names a module, which only code and variables may name"],
];

configTest("set refuses what cannot be used, and the file stays", async (world) => {
  await world.write(client(world));
  for (const [words, said] of REFUSED) {
    const { stdout } = await world.says(`config set ${words}`, 2, said, "!s3cr3t");
    assertEquals(stdout, "");
  }
  assertEquals(await settingsIn(world), client(world));
});

configTest("a file that others may write is not changed either", async (world) => {
  const path = await world.write(client(world));
  if (!isPosix) return;
  await Deno.chmod(path, 0o666);
  for (const line of ["config set model x", "config unset issuer"]) {
    await world.says(line, 2, "others may write it");
  }
  assertEquals(await settingsIn(world), client(world));
});

configTest("a file that cannot be used ends every command, and unset mends it", async (world) => {
  const path = await world.write({ ...client(world), isuer: "x" });
  const words = [
    `error (settings_invalid): Cannot use the settings file ${path}: `,
    'unknown option "isuer". Did you mean "issuer"?',
  ];
  const lines = [
    "login",
    "status",
    "token",
    "list",
    "logout --all",
    "config",
    "config set model x",
  ];
  for (const line of lines) assertEquals((await world.says(line, 2, ...words)).stdout, "");
  await world.says("doctor", 1, `fail  settings  Cannot use the settings file ${path}: `);
  await world.says("--help", 0);
  await world.says("config unset isuer", 0);
  assertEquals(await settingsIn(world), client(world));
  // A profile that is none, and one that was never there.
  await world.write({ profiles: { two: 1 } });
  await world.says("config set --profile two flow device", 0);
  await world.says("config unset --profile tow flow", 0);
  assertEquals(await settingsIn(world), { profiles: { two: { flow: "device" } } });
  await world.says("config unset --profile two flow", 0);
  assertEquals(await settingsIn(world), { profiles: {} });
  const damaged = '{"issuer":\n 7 7}';
  await world.write(damaged);
  await world.says("config unset issuer", 2, "it is not JSON (line 2 ");
  assertEquals(await Deno.readTextFile(path), damaged);
  if (Deno.build.os === "windows") return;
  const long = "s".repeat(250); // with the ending of its temp file longer than a name can be
  await world.says(`config set model x --config ${long}`, 1, `Cannot open the lock file ${long}`);
});

configTest("a file that others may read stays so", async (world) => {
  if (Deno.build.os === "windows") return;
  const path = await world.write(client(world));
  await Deno.chmod(path, 0o644);
  await world.says("config set audience x", 0);
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o644);
});

configTest("where no mode is kept, no file is left that later commands refuse", async (world) => {
  if (!isPosix) return;
  const { lstatSync } = Deno;
  using _ = replace(Deno, "lstatSync", (path) => {
    const info = lstatSync(path);
    return `${path}`.endsWith(".tmp") ? { ...info, mode: 0o100777 } : info;
  });
  await world.says("config set audience x", 1, "whatever its mode", "--config or VM_AUTH_CONFIG");
  await world.says("config", 0, "(not there)");
});

configTest("a neighbour who swaps the changed file opens no file of this user", async (world) => {
  if (!isPosix) return;
  const path = await world.write(client(world), "shared/settings.json");
  await Deno.chmod(path, 0o644);
  await Deno.chmod(dirname(path), 0o777);
  const own = await world.write("{}", "own.json");
  const { renameSync } = Deno;
  using _ = replace(Deno, "renameSync", (...names) => {
    renameSync(...names);
    Deno.removeSync(path);
    Deno.symlinkSync(own, path);
  });
  await world.says(`config set audience x --config ${quoted(path)}`, 0);
  assertEquals((await Deno.stat(own)).mode! & 0o777, 0o600);
});

configTest("a change of the file behind a link names the real folder, too", async (world) => {
  if (!isPosix) return;
  const real = await Deno.realPath(dirname(await world.write({}, "real/settings.json")));
  const link = `${real}-link`;
  Deno.symlinkSync(real, link);
  const { querySync } = Deno.permissions;
  using _ = replace(Deno.permissions, "querySync", (one) => {
    const isReal = "path" in one && one.path === real;
    return isReal
      ? { state: "denied" } as Deno.PermissionStatus
      : querySync.call(Deno.permissions, one);
  });
  const set = `config set audience x --config ${quoted(link)}/settings.json`;
  await world.says(set, 1, `Deno does not permit read ${real} (to`, `write ${real} (to`);
});

cliTest("config: a file that Deno does not permit is told", async (world) => {
  const path = await world.write({ ...client(world), clientId: "other" }, "elsewhere.json");
  await world.signIn();
  const access = [`--allow-read=${world.folder}`, `--allow-write=${world.folder}`];
  const run = { flags: ["--allow-env", "--allow-net", ...access], env: { VM_AUTH_CONFIG: path } };
  const flag = quoteArgument(`--allow-read=${path}`);
  await world.says("status", 0, run);
  const denied = /^ +→ Cannot use the settings file .*: Deno does not permit it/m;
  await world.says("doctor", 0, denied, flag, run);
  const { file } = (await world.says("config --json", 0, run)).json;
  assertEquals([file.state, file.path], ["denied", path]);
  assertStringIncludes(file.reason, flag);
  // Who names it needs it.
  const words = ["error (permission_required): Cannot show the status", `permit read ${path} (to`];
  await world.says(`status --config ${quoted(path)}`, 1, ...words, { flags: run.flags });
  const reason = `read ${path} (to read the file of --backend-options)`;
  await world.says(`status --backend file --backend-options ${quoted(path)}`, 1, reason, run);
});

configTest("an error about a setting leads to where it comes from", async (world) => {
  const settings = client(world);
  const path = await world.write({ ...settings, listen: "0.0.0.0:80" });
  const where = "Try: validmind-auth config, which shows where each value";
  await world.says("login", 2, "listen (VM_OIDC_LISTEN, --listen) is not a loopback host", where);
  await world.says("config", 0, /^listen +0\.0\.0\.0:80 +settings file$/m);
  const wrong = "VM_OIDC_FLOW is not one of auto, device";
  await world.says("VM_OIDC_FLOW=divice config", 2, wrong, "!Try: "); // it would fail again
  await world.write({ ...settings, backend: "redis" });
  const place = `of the settings file ${path}`;
  const named = [`"backend" ${place}="redis": it is neither`, "Give one of file, memory, kv"];
  await world.says("status", 2, ...named);
  await world.write({
    ...settings,
    backend: "file",
    backendOptions: { path: "${NO_SUCH}/x.json" },
  });
  await world.says("status", 2, `"backendOptions" ${place}`, "NO_SUCH");
});

configTest("without a provider the profiles of the file are named", async (world) => {
  await world.write({ profiles: { two: { ...client(world), ...TWO }, three: {} } });
  const words = ["two, three", "profile (VM_OIDC_PROFILE, --profile)"];
  for (const line of ["login", "VM_OIDC_CLIENT_ID=c login"]) await world.says(line, 2, ...words);
  // The profile that lacks them is the one that was named.
  await world.says("login --profile three", 2, "!two, three");
});

configTest("doctor leads to where a setting comes from, too", async (world) => {
  const where = /^fail .*\n(.*\n)* +→ Try: validmind-auth config, which shows where/m;
  await world.says("doctor", 1, where);
});

configTest("permissions lists the file, also for a script", async (world) => {
  const backendOptions = { path: "/srv/vm/tokens.db" };
  const path = await world.write({ ...client(world), backend: "kv", backendOptions });
  const inJson = JSON.stringify(path).slice(1, -1); // a Windows path has backslashes
  const words: Word[] = [/--allow-read=\S*\/srv\/vm/, "--unstable-kv "];
  await world.says("permissions --for cli --json", 0, inJson, ...words, "--allow-sys=uid");
  const { stdout } = await world.says("permissions", 0, ...words);
  assertStringIncludes(wordsIn(stdout).join(" "), path);
});

configTest("a variable that may not be read could win, and is told", async (world) => {
  await world.write(client(world));
  const variables = ["NO_PERSIST", "DENO_CREDENTIALS_BACKEND", "CREDENTIALS_BACKEND"]
    .map((name) => `VM_OIDC_${name}`);
  const granted = `--allow-env=${[HOME_VARIABLE, ...variables]}`;
  const flags = ["--allow-read", "--allow-sys=uid", granted];
  await world.says("status", 1, "Deno does not permit env VM_OIDC_ISSUER, VM_OIDC", { flags });
});

configTest("the flags for this program are enough to sign in by the file", async (world) => {
  await world.write(client(world));
  const { json } = await world.says("permissions --for cli --json", 0);
  await world.says("login", 0, { flags: wordsIn(json.flags) });
  world.stored();
});
