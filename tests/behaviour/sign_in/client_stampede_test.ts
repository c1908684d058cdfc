import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { credentialKey } from "../../../client/entry.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { CLIENT_SECRET, clientKeyOf, clientWorld } from "../../support/client_world.ts";
import { runTogether } from "../../support/run_together.ts";
import { tempDir } from "../../support/temp_home.ts";

const JOB = `
  import { createSession, FileCredentialsBackend } from "@validmind/auth";
  const { path, ...options } = JSON.parse(Deno.args[0]);
  const credentialsBackend = new FileCredentialsBackend({ path });
  await using session = await createSession({ ...options, credentialsBackend });
  console.log(await session.accessToken());
`;

Deno.test("client_credentials: sixteen processes at once make one request, at first and at the end", async () => {
  await using world = await clientWorld();
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const { issuer, clientId } = world.provider;
  const options = {
    issuer,
    clientId,
    flow: "client_credentials",
    clientSecret: CLIENT_SECRET,
    path,
  };
  const stampede = async () => {
    world.provider.reset();
    const args = [JSON.stringify(options)];
    const job = { code: JOB, flags: ["-A"], args, timeoutMs: 120_000 };
    const results = await runTogether(16, job);
    assertEquals(results.map(({ code, stderr }) => [code, stderr]), results.map(() => [0, ""]));
    const tokens = new Set(results.map(({ stdout }) => stdout));
    const count = world.provider.requests.filter((request) => request.path === "/token").length;
    assertEquals([tokens.size, count], [1, 1]);
    return [...tokens][0];
  };
  const first = await stampede();
  const backend = new FileCredentialsBackend({ path });
  const key = clientKeyOf(world);
  await backend.put(key, { ...backend.get(key)!, expires_at: "2020-01-01T00:00:00Z" });
  assertEquals(await stampede() === first, false);
});

Deno.test("client_credentials: a person's entry, Python's too, stands beside the client's untouched", async () => {
  await using world = await clientWorld();
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const { issuer, clientId } = world.provider;
  const person = credentialKey(issuer, clientId);
  const row = {
    issuer,
    client_id: clientId,
    access_token: "token-of-a-person",
    refresh_token: "refresh-of-a-person",
    id_token: null,
    expires_at: "2099-01-01T00:00:00.123456+00:00",
    future_field: { a: 1 },
  };
  const document = { version: 1, credentials: { [person]: row }, more: true };
  await Deno.writeTextFile(path, JSON.stringify(document), { mode: 0o600 });
  const credentialsBackend = new FileCredentialsBackend({ path });
  const options = { issuer, clientId, credentialsBackend };
  const job = { ...options, flow: "client_credentials", clientSecret: CLIENT_SECRET } as const;
  await using session = await createSession(job);
  assertEquals(await session.accessToken() === row.access_token, false);
  const { credentials, ...rest } = JSON.parse(await Deno.readTextFile(path));
  assertEquals(credentials[person], row);
  assertEquals(Object.keys(credentials), [person, clientKeyOf(world)]);
  assertEquals(rest, { version: 1, more: true });
  await using served = await createSession({ ...options, interactive: false });
  assertEquals(await served.accessToken(), row.access_token);
});
