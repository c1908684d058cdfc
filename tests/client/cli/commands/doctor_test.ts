import { assertEquals } from "@std/assert";
import { startScriptedProvider } from "../../../support/scripted_provider.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { BY_KEY, cliTest, ENDED } from "../cli_world.ts";

const ALL_WELL = ["settings", "permissions", "store", "provider", "sign-in"]
  .map((check) => new RegExp(`^ok +${check} +\\S`, "m"));

cliTest("doctor: all is well, and no token goes anywhere", async (world) => {
  await world.signIn();
  const before = await Deno.readTextFile(world.backend.path);
  assertEquals((await world.says("doctor", 0, ...ALL_WELL)).stderr, "");
  assertEquals(await Deno.readTextFile(world.backend.path), before);
  const paths = world.provider.requests.map(({ path }) => path);
  assertEquals(paths, ["/.well-known/openid-configuration"]);
  assertEquals(await world.run(["doctor", "--quiet"]), { code: 0, stdout: "", stderr: "" });
});

/** What is stored of a sign-in that ends soon, or has ended, and what to do. */
const WARNINGS: [change: Record<string, unknown>, words: string][] = [
  [{ expires_at: ENDED, refresh_token: null }, "Run: validmind-auth login"],
  [{ refresh_token: null }, "The provider gave no refresh token"],
];

cliTest("doctor: a warning says what to do, and is no failure", async (world) => {
  const { json } = await world.says("doctor --json", 0);
  assertEquals([json.ok, json.checks.at(-1).result], [true, "warning"]);
  const words = /^warning +sign-in +nobody is signed in\n +→ Run: validmind-auth login$/m;
  await world.says("doctor", 0, words);
  for (const [change, words] of WARNINGS) {
    await world.signIn();
    await world.amend(change);
    await world.says("doctor", 0, /^warning +sign-in/m, words);
    await world.backend.delete(world.key);
  }
});

cliTest("doctor: without a provider, the store is examined all the same", async (world) => {
  const line = `doctor --client-id a --issuer http://127.0.0.1:${freePort()}`;
  const provider = /^fail +provider .*: nothing answers at that host and port/m;
  await world.says(line, 1, /^ok +store/m, provider);
  await world.says(`${line} --quiet`, 1);
  const { json } = await world.says(`${line} --json`, 1);
  assertEquals(json.ok, false);
});

cliTest("doctor: missing permissions are a fail that leads to all flags", async (world) => {
  const { stderr } = await world.says(
    "doctor",
    1,
    /^fail +settings +Cannot examine the sign-in: Deno does not permit/m,
    "--allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID",
    /^ +→ All flags at once: .* permissions --for cli$/m,
    { flags: [] },
  );
  assertEquals(stderr, "");
  const some = { flags: ["--allow-env", "--allow-net"] };
  const words = [/^fail +permissions/m, `--allow-write=${world.folder}`, "!fail  s"];
  await world.says("doctor", 1, ...words, some);
});

cliTest("doctor: what fails is named, and nothing is changed", async (world) => {
  await world.says("VM_OIDC_ISSUER= doctor", 1, /^fail +settings .*--issuer/m, "!permissions  ");
  const discovery = { issuer: "https://b.example" };
  await using provider = await startScriptedProvider({ discovery });
  const line = `doctor --issuer ${provider.issuer} --client-id ${provider.clientId}`;
  await world.says(line, 1, /^fail +provider/m);
  const path = await world.write("{damaged", ".validmind/credentials.json");
  await world.says("doctor", 1, /^fail +store/m, path, "!fail  sign-in"); // told once
  // Never "not signed in".
  assertEquals((await world.says("status", 1, "error (backend_corrupt): Cannot")).stdout, "");
  assertEquals(await Deno.readTextFile(path), "{damaged");
});

cliTest("an API key: nobody has to sign in, and only permissions are examined", async (world) => {
  Object.assign(world.env, BY_KEY);
  await world.says("doctor", 0, /^ok +settings/m, /^ok +permissions/m, "!store", "!provider");
  assertEquals((await world.says("status --json", 0)).json, {
    signed_in: true,
    state: "api_key",
  });
  for (const line of ["login", "status"]) await world.says(line, 0, "An API key is set");
});
