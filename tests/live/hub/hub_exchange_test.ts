import { assert, assertEquals } from "@std/assert";
import { readClaims } from "../../../client/entry/bearer.ts";
import { isThere } from "../../support/servers/servers.ts";
import { HUB_SECONDS, initIn, REALM, renewedIn, startExchangeWorld } from "./exchange_world.ts";
import { until } from "./hub_robot.ts";
import { hubTests } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";
import { endProcesses } from "./unix_users.ts";

const { test, shared, stack } = await hubTests("keycloak");

const it = await shared(async () => stack.use(await startExchangeWorld()));

test("JupyterHub, exchange: who is signed in at the hub is never asked", async () => {
  const [user] = it.users;
  const { robot } = it.hub;
  await robot.stopServer(user!.name);
  await it.signInAtHub(user!);
  assertEquals(await it.hubToken(user!), undefined, "no server runs");
  await robot.startServer(user!.name);
  const first = (await it.hubToken(user!))!;
  await using kernel = await robot.startKernel(user!.name, "deno");
  const { token, ...found } = await initIn(kernel);
  assertEquals(found, { email: `${user!.name}@example.com`, flow: "token_exchange", asked: 0 });
  const { azp, aud, sub, sid } = readClaims(token)!;
  assertEquals([azp, aud, sub], ["notebooks", "api", readClaims(first)!.sub]);
  assertEquals(sid, readClaims(first)!.sid, "it ends with the hub's sign-in at the provider");

  // After the token's end, after the hub's own token was renewed, in an hour, in another kernel.
  await until("a new token", async () => (await renewedIn(kernel)).token !== token);
  await until("the hub's next one", async () => (await it.hubToken(user!)) !== first);
  const end = Number(readClaims(first)!.exp);
  await until("its end", () => Promise.resolve(Date.now() / 1000 > end));
  const renewed = await initIn(kernel);
  assert(renewed.token !== token);
  const later = await initIn(kernel, "{ now: () => Date.now() + 3600_000 }");
  assertEquals([later.asked, later.token === renewed.token], [0, false]);
  await using another = await robot.startKernel(user!.name, "deno");
  assertEquals((await initIn(another)).asked, 0);
});

test("JupyterHub, exchange: a server's end takes the file away, and its start brings it", async () => {
  const [user] = it.users;
  const { robot } = it.hub;
  await it.signInAtHub(user!);
  await robot.startServer(user!.name);
  assert(await it.hubToken(user!) !== undefined);
  await robot.stopServer(user!.name);
  assertEquals(await it.hubToken(user!), undefined);
  await using kernel = await robot.findKernel(user!.name, "deno");
  assertEquals((await initIn(kernel)).asked, 0);
});

test("JupyterHub, exchange: a neighbour reads nothing of it", async () => {
  const [first, second] = it.users;
  for (const user of it.users) {
    await it.signInAtHub(user);
    await it.hub.robot.startServer(user.name);
  }
  const own = `${it.tokens}/${first!.name}`;
  const { uid, gid, mode } = await Deno.stat(own);
  assertEquals([uid, gid, (mode! & 0o777).toString(8)], [0, first!.gid, "440"]);
  await using kernel = await it.hub.robot.findKernel(second!.name, "deno");
  const told = await kernel.outcomes(
    `Deno.readTextFile("${own}")`,
    `Array.fromAsync(Deno.readDir("${it.tokens}"))`,
    `Deno.symlink("${first!.home}/x", "${it.tokens}/x")`,
    `Deno.remove("${it.tokens}/${second!.name}")`,
    `Deno.readTextFile("${it.hub.state}/jupyterhub.sqlite")`,
  );
  assertEquals(told, Array(5).fill("PermissionDenied"));
  const secrets = ["OAUTH_CLIENT_SECRET", "JUPYTERHUB_CRYPT_KEY"];
  const has = `return ${JSON.stringify(secrets)}.filter((name) => Deno.env.has(name));`;
  assertEquals(await kernel.evaluate(has), [], "the hub's own secrets stay with it");
  // The hub itself tells nobody: neither of others, nor of the person.
  const answers = await kernel.evaluate(`
    const headers = { Authorization: "token " + Deno.env.get("JUPYTERHUB_API_TOKEN") };
    const ask = async (path) => {
      const answer = await fetch("${it.hub.origin}/hub/api/" + path, { headers });
      const { auth_state } = await answer.json();
      return [answer.status, auth_state ?? null];
    };
    return [await ask("users/${first!.name}"), await ask("users/${
    second!.name
  }"), await ask("user")];`);
  assertEquals(answers, [[404, null], [200, null], [200, null]]);
});

test("JupyterHub, exchange: no token is in an environment, a log, a notebook or a database", async () => {
  const except = [it.tokens, it.proof, `${it.hub.state}/settings.json`];
  for (const { home } of it.users) except.push(`${home}/.validmind/credentials.json`);
  await searchForSecrets(it, { except });
  // Nor is a refresh token, of which nobody but the hub and the provider has seen one.
  for (const file of [it.hub.log, `${it.hub.state}/jupyterhub.sqlite`]) {
    const text = new TextDecoder("latin1").decode(await Deno.readFile(file));
    assertEquals(/eyJhbGciOi|"refresh_token"/.test(text), false, file);
  }
});

test("JupyterHub, exchange: the hub's sign-out ends it at the next renewal", async () => {
  const [user] = it.users;
  const browser = await it.signInAtHub(user!);
  await using kernel = await it.hub.robot.findKernel(user!.name, "deno");
  await initIn(kernel);
  await browser.open(`${it.hub.origin}/hub/logout`);
  assertEquals(await it.hubToken(user!), undefined);
  const { message } = await until("the end", async () => {
    const found = await renewedIn(kernel);
    return found.code === "client_auth_unusable" && found;
  });
  for (const word of [`${it.tokens}/${user!.name}`, "notebooks", "api", "at the hub", "device"]) {
    assert(message!.includes(word), message);
  }
  const { code } = await kernel.evaluate<{ code: string }>(`
  const { init } = await import("jsr:@validmind/auth");
  return await init({ flow: "device", interactive: false }).then(
    () => ({}), ({ code }) => ({ code }));`);
  assertEquals(code, "login_required", "the ordinary sign-in is there");
  await it.signInAtHub(user!);
  assert(await it.hubToken(user!) !== undefined, "a new sign-in shows at once");
  assertEquals((await initIn(kernel)).asked, 0);
});

/** All that a person may try at the own file, in Python: Deno has no leases. */
const ATTACKS = `
import fcntl, os, signal
path, home = PLACE, os.environ["HOME"]
signal.signal(signal.SIGIO, signal.SIG_IGN)
tried = {
    "a lease": lambda: fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK),
    "a write": lambda: os.open(path, os.O_WRONLY),
    "a mode": lambda: os.chmod(path, 0o666),
    "a rename": lambda: os.rename(path, path + "x"),
    "a removal": lambda: os.remove(path),
    "a link to it": lambda: os.link(path, home + "/kept"),
    "a link of one's own": lambda: os.symlink("/etc/passwd", PLACE + "x"),
    "its next name": lambda: os.mkfifo(os.path.dirname(path) + "/." + os.path.basename(path)),
    "filling": lambda: open(path, "ab"),
}
value = {}
for name, attack in tried.items():
    try:
        attack()
        value[name] = "done"
    except OSError as error:
        value[name] = type(error).__name__
held = [os.open(path, os.O_RDONLY) for _ in range(200)]
fcntl.flock(held[0], fcntl.LOCK_EX)  # kept, with the file open`;

test("JupyterHub, exchange: a person with every right of their own holds up nobody", async () => {
  const [first, second] = it.users;
  for (const user of it.users) {
    await it.signInAtHub(user);
    await it.hub.robot.startServer(user.name);
  }
  await using kernel = await it.hub.robot.startKernel(second!.name, "python3");
  const place = JSON.stringify(`${it.tokens}/${second!.name}`);
  const told = await kernel.evaluate<Record<string, string>>(ATTACKS.replaceAll("PLACE", place));
  assertEquals(new Set(Object.values(told)), new Set(["PermissionError"]), JSON.stringify(told));
  for (const user of it.users) {
    const before = await it.hubToken(user);
    const started = performance.now();
    await until("the next token", async () => {
      const token = await it.hubToken(user);
      return token !== undefined && token !== before;
    });
    assert(performance.now() - started < HUB_SECONDS * 2000, "it was held up");
  }
  await using other = await it.hub.robot.findKernel(first!.name, "deno");
  assertEquals((await initIn(other)).asked, 0);
});

test("JupyterHub, exchange: at an outage a token stays to its end, and comes again", async () => {
  const [user] = it.users;
  await it.signInAtHub(user!);
  await it.hub.robot.startServer(user!.name);
  it.asked.answer = () => new Response("down", { status: 503 });
  let last = { token: "", at: 0 };
  await until("the token's end", async () => {
    const token = await it.hubToken(user!);
    if (token !== undefined) last = { token, at: Date.now() };
    return token === undefined && last.at + 2_000 < Date.now();
  });
  // The hub looks each second, and reads the clock before it removes the file.
  const early = Number(readClaims(last.token)!.exp) * 1000 - last.at;
  assert(early < 1_500, `it went ${early} ms before its end`);
  it.asked.answer = undefined;
  await until("a new token", async () => await it.hubToken(user!) !== undefined);
});

test("JupyterHub, exchange: a sign-out at the provider takes the file away, and nobody else's", async () => {
  const [first, second] = it.users;
  for (const user of it.users) {
    await it.signInAtHub(user);
    await it.hub.robot.startServer(user.name);
  }
  const { sub } = readClaims((await it.hubToken(second!))!)!;
  await it.keycloak.admin("POST", `/${REALM}/users/${sub}/logout`, {});
  await until("the end", async () => await it.hubToken(second!) === undefined);
  assert(await it.hubToken(first!) !== undefined);
});

test("JupyterHub, exchange: whoever kills the own server loses the file, and has it back with the next one", async () => {
  const [first, second] = it.users;
  for (const user of it.users) {
    await it.signInAtHub(user);
    await it.hub.robot.startServer(user.name);
  }
  await endProcesses(second!.uid);
  await until("its end", async () => await it.hubToken(second!) === undefined);
  assert(await it.hubToken(first!) !== undefined);
  await it.hub.robot.startServer(second!.name);
  assert(await it.hubToken(second!) !== undefined, "without a new sign-in at the hub");
});

test("JupyterHub, exchange: the file of a person who was deleted goes, and what an earlier hub left", async () => {
  const [first, second] = it.users;
  for (const user of it.users) {
    await it.signInAtHub(user);
    await it.hub.robot.startServer(user.name);
  }
  await Deno.writeTextFile(`${it.tokens}/somebody`, "of a person who was deleted");
  await it.hub.robot.removePerson(second!.name);
  for (const gone of [second!.name, "somebody"]) {
    await until("its end", async () => !await isThere(`${it.tokens}/${gone}`));
  }
  assert(await it.hubToken(first!) !== undefined);
});
