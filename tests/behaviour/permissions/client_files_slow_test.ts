// The files by which a client proves who it is: what is declared is enough, and nothing beyond is touched.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  formatPermissionFlags,
  type PermissionNeed,
  requiredPermissions,
  type SessionOptions,
} from "@validmind/auth";
import { AssertionIssuer, jobOptions, withClient } from "../../support/client_world.ts";
import { runDeno } from "../../support/deno_process.ts";
import { withEnv } from "../../support/own_env.ts";
import { oidcProviderWorld } from "../../support/provider_world.ts";
import { isPosix } from "../../support/sandbox.ts";
import { tempDir } from "../../support/temp_home.ts";

const JOB = `
  import { clearOidcCredentials, createSession } from "@validmind/auth";
  const [options, then] = JSON.parse(Deno.args[0]);
  async function run() {
    if (then === "clear") {
      return (await clearOidcCredentials({ ...options, revoke: true })).revocation;
    }
    await using session = await createSession(options);
    if (then === "drop") {
      await session.dropPermissions({ all: true });
      await session.accessToken({ forceRefresh: true });
    }
    return "ok";
  }
  console.log(await run().catch((error) => error.code + " " + error.message));
`;

/** A job whose token file stands where a cluster puts it: behind two links. */
async function jobWorld() {
  const cluster = await AssertionIssuer.make();
  const keys = [cluster.key.publicJwk];
  const world = await oidcProviderWorld(withClient({ method: "private_key_jwt", keys }));
  const { path: folder } = await tempDir();
  // Links need a privilege on Windows, where no cluster mounts anything.
  const mounted = isPosix ? "..2026" : "";
  await Deno.mkdir(`${folder}/mount/${mounted}`, { recursive: true });
  const { issuer, clientId } = world.provider;
  const token = await cluster.assertion(issuer, clientId);
  await Deno.writeTextFile(`${folder}/mount/${mounted}/token`, token, { mode: 0o600 });
  if (isPosix) {
    await Deno.symlink(mounted, `${folder}/mount/..data`);
    await Deno.symlink("..data/token", `${folder}/mount/token`);
  }
  const jwk = JSON.stringify(cluster.key.privateJwk);
  await Deno.writeTextFile(`${folder}/key`, jwk, { mode: 0o600 });
  const options: SessionOptions = { issuer, clientId, flow: "client_credentials" };
  const env = {
    HOME: folder,
    VM_OIDC_ISSUER: issuer,
    VM_OIDC_CLIENT_ID: clientId,
    VM_OIDC_CREDENTIALS_BACKEND: "file",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({
      path: `${folder}/.validmind/tokens.json`,
    }),
  };
  return {
    folder,
    options,
    env,
    run: async (options: SessionOptions, flags: string[], more: Record<string, string> = {}) => {
      await Deno.remove(`${folder}/.validmind`, { recursive: true }).catch(() => undefined);
      const args = [JSON.stringify([options, more.THEN ?? "end"])];
      const run = { code: JOB, flags, args, env: { ...env, ...more }, cwd: folder };
      const { stdout, stderr } = await runDeno(run);
      assert(stdout !== "", stderr);
      return stdout.trim();
    },
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function needsOf(
  options: SessionOptions,
  env: Record<string, string>,
): Promise<PermissionNeed[]> {
  return await withEnv(env, () => requiredPermissions(options, { call: "createSession" }));
}

function flagsOf(needs: readonly PermissionNeed[]): string[] {
  return formatPermissionFlags(needs).replaceAll(/['"]/g, "").split(" ").filter((flag) =>
    flag !== ""
  );
}

for (
  const [option, path] of [
    ["clientKeyFile", "key"],
    ["clientAssertionFile", "mount/token"],
  ] as const
) {
  Deno.test(`permissions: ${option}: the file is declared, and enough and needed`, async () => {
    await using world = await jobWorld();
    const options = { ...world.options, [option]: `${world.folder}/${path}` };
    const needs = (await needsOf(options, world.env)).filter(({ need }) => need !== "optional");
    const read = needs.filter((need) => need.name === "read" && need.reason.includes("client's"));
    assertEquals(read.map((need) => [need.need, "path" in need && need.path]), [
      ["sign_in", `${world.folder}/${path}`],
    ]);
    assertEquals(await world.run(options, flagsOf(needs)), "ok");
    const outcome = await world.run(options, flagsOf(needs.filter((need) => !read.includes(need))));
    assertStringIncludes(outcome, "permission_required");
    const call = "createSession";
    const toClear = await withEnv(world.env, () => requiredPermissions(options, { call }));
    const wanted = toClear.filter(({ need }) => need !== "optional");
    const clear = { THEN: "clear" };
    assertEquals(await world.run(options, flagsOf(wanted), clear), "nothing_to_revoke");
    const less = wanted.filter((need) => !need.reason.includes("client's"));
    assertEquals(less.length, wanted.length - 1);
    assertStringIncludes(await world.run(options, flagsOf(less), clear), "permission_required");
    assertStringIncludes(outcome, `read ${world.folder}/${path} (to read the client's`);
  });
}

// The provider takes each assertion once, so that only a key can renew.
Deno.test("permissions: a session that drops permissions keeps the client's file, and renews", async () => {
  await using world = await jobWorld();
  const options = { ...world.options, clientKeyFile: `${world.folder}/key` };
  // In memory, so that no other file keeps the permission to read.
  const more = { VM_OIDC_NO_PERSIST: "1", THEN: "drop" };
  assertEquals(await world.run(options, ["-A"], more), "ok");
});

Deno.test("permissions: the file of a variable is declared, too, for its own client alone", async () => {
  await using world = await jobWorld();
  const path = `${world.folder}/key`;
  const env = { ...world.env, VM_OIDC_CLIENT_KEY_FILE: path };
  const isDeclared = async (options: SessionOptions) =>
    (await needsOf(options, env)).some((need) => "path" in need && need.path === path);
  assertEquals(await isDeclared(world.options), true);
  assertEquals(await isDeclared({ ...world.options, clientId: "other" }), false);
  const { flow: _, ...person } = jobOptions({ options: world.options } as never);
  assertEquals(await isDeclared(person), true);
});
