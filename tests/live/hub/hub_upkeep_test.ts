import { assertEquals, assertNotEquals } from "@std/assert";
import { readClaims } from "../../../client/entry/bearer.ts";
import { hang } from "../../support/http_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { isThere } from "../../support/servers/servers.ts";
import { initIn, renewedIn, startExchangeWorld } from "./exchange_world.ts";
import { until } from "./hub_robot.ts";

const live = await liveTests("jupyterhub", "accounts", "keycloak");

live.test("JupyterHub, exchange: a hub that was killed goes on with everybody's sign-in, and takes away what is over", async () => {
  await using it = await startExchangeWorld({ hubSeconds: 20, serversStay: true });
  const { hub, users: [anna, berta] } = it;
  for (const user of it.users) {
    await it.signInAtHub(user);
    await hub.robot.startServer(user.name);
  }
  const isGone = async (name: string) => !await isThere(`${it.tokens}/${name}`);
  await using kernel = await hub.robot.startKernel(anna!.name, "deno");
  assertEquals((await initIn(kernel)).asked, 0);

  // Nobody's token is just being renewed: the provider takes a refresh token once.
  const rests = async () => {
    const tokens = await Promise.all(it.users.map((user) => it.hubToken(user)));
    return tokens.map((token) => Number(readClaims(token ?? "")?.exp ?? 0) - Date.now() / 1000);
  };
  await until("new tokens", async () => (await rests()).every((rest) => rest > 8));
  await hub.kill();
  const before = await it.hubToken(anna!);
  await Deno.writeTextFile(`${it.tokens}/somebody`, "of a person who was deleted");
  await hub.start();
  await until("the end of what was left", () => isGone("somebody"));
  await until("the next token", async () => {
    const token = await it.hubToken(anna!);
    return token !== undefined && token !== before;
  });
  // The kernel has outlived the hub, with its session and its connection.
  await until("a renewal", async () => (await renewedIn(kernel)).token);
  assertEquals((await initIn(kernel)).asked, 0);
  await hub.robot.startServer(berta!.name);
  assertEquals(await isGone(berta!.name), false);
  await hub.robot.removePerson(berta!.name);
  await until("the end of the deleted person's", () => isGone(berta!.name));

  // Killed between the provider's answer and its own note of it: that one sign-in is over.
  const answered = Promise.withResolvers<void>();
  it.asked.answer = async (request, pass) => {
    const answer = await pass();
    if (new URL(request.url).pathname !== "/token") return answer;
    await answer.body?.cancel();
    answered.resolve();
    return await hang(request);
  };
  await answered.promise;
  await hub.kill();
  it.asked.answer = undefined;
  await hub.start();
  await until("its end", () => isGone(anna!.name));
  await it.signInAtHub(anna!);
  await hub.robot.startServer(anna!.name);
  await until("a token", async () => !await isGone(anna!.name));
  assertEquals((await initIn(kernel)).asked, 0);
});

live.test("JupyterHub, exchange: the idle culler takes the file away with the server, and with the person the sign-in", async () => {
  await using it = await startExchangeWorld();
  const { hub, users: [anna] } = it;
  const { name } = anna!;
  const askedIn = async () => {
    await hub.robot.startServer(name);
    assertNotEquals(await it.hubToken(anna!), undefined);
    await using kernel = await hub.robot.startKernel(name, "deno");
    return (await initIn(kernel)).asked;
  };
  await it.signInAtHub(anna!);
  assertEquals(await askedIn(), 0);
  const last = (await it.hubToken(anna!))!;
  {
    await using _ = await hub.startCuller("--timeout=2");
    await hub.robot.serverEnd(name);
  }
  assertEquals(await it.hubToken(anna!), undefined);
  // Nor is the sign-in renewed for a person without a server.
  it.asked.count = 0;
  const end = Number(readClaims(last)!.exp);
  await until("the token's end", () => Promise.resolve(Date.now() / 1000 > end));
  assertEquals([it.asked.count, await it.hubToken(anna!)], [0, undefined]);
  assertEquals(await askedIn(), 0, "the next server has it without a new sign-in");

  {
    await using _ = await hub.startCuller("--timeout=2", "--cull-users=true");
    await until("the person's end", async () => !await hub.robot.knows(name));
  }
  assertEquals(await it.hubToken(anna!), undefined);
  await it.signInAtHub(anna!);
  assertEquals(await askedIn(), 0);
});
