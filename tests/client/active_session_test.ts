import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  getSession,
  peekActiveSession,
  reload,
  setActiveSession,
} from "../../client/active_session.ts";
import { createSession } from "../../client/create_session.ts";
import { init } from "../../client/init.ts";
import { json } from "../support/http_server.ts";
import { assertCode, scriptedWorld } from "./fixtures.ts";

Deno.test("getSession and reload: no_active_session before init", async () => {
  setActiveSession(undefined);
  await assertCode(() => Promise.try(() => getSession()), "no_active_session", "init()");
  await assertCode(() => reload(), "no_active_session", "init()");
  assertEquals(peekActiveSession(), undefined);
});

Deno.test("getSession: the session of the last init; createSession does not count", async () => {
  await using world = await scriptedWorld();
  await createSession(world.options);
  assertEquals(peekActiveSession(), undefined);
  const first = await init({ ...world.options, model: "a" });
  assertStrictEquals(getSession(), first);
  const second = await init({ ...world.options, model: "b" });
  assertStrictEquals(getSession(), second);
  await createSession(world.options);
  assertStrictEquals(getSession(), second);
});

Deno.test("reload: pings again and renews the info", async () => {
  await using world = await scriptedWorld();
  const session = await init({ ...world.options, model: "a" });
  world.api.script.push(() => json({ model: { name: "Renamed" }, document_type: "report" }));
  const info = await reload();
  assertEquals([info.model.name, info.documentType], ["Renamed", "report"]);
  assertStrictEquals(session.info, info);
  assertEquals(world.api.requests.length, 2);
});

Deno.test("reload: a closed session cannot", async () => {
  await using world = await scriptedWorld();
  const session = await init({ ...world.options, model: "a" });
  await session.close();
  await assertCode(() => reload(), "session_closed");
});
