import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { jobOptions } from "../../support/client_world.ts";
import { mustRun, succeeds } from "../../support/deno_process.ts";
import { isPosix, makePipe } from "../../support/sandbox.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { keyWorld, makeKey } from "../../support/key_world.ts";
/** The text of a file, and words of the refusal that it gets. */
type Unusable = [text: string, ...words: string[]];

/** Expects the refusal of each file, before any request. */
async function expectUnusable(it: Awaited<ReturnType<typeof keyWorld>>, rows: Unusable[]) {
  for (const [text, ...words] of rows) {
    const clientKeyFile = await it.file(text);
    const run = () => createSession(jobOptions(it.world, { clientKeyFile }));
    await rejectsWith("client_auth_unusable", run, clientKeyFile, "clientKeyFile", ...words);
  }
  assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
}

const hasOpenssl = await succeeds(["openssl", "version"]);
const openssl = (...args: string[]) => mustRun(["openssl", ...args]);

Deno.test({
  name: "client key: what openssl writes and cannot be used is refused with the command, unsent",
  ignore: !hasOpenssl,
  async fn() {
    const key = await makeKey("RS256");
    await using it = await keyWorld([key.registered]);
    const pkcs8 = await it.file(key.pem, "pkcs8");
    const old = await openssl("rsa", "-traditional", "-in", pkcs8);
    const locked = await openssl("pkcs8", "-topk8", "-in", pkcs8, "-passout", "pass:abcd");
    const open = await openssl("pkey", "-in", pkcs8, "-pubout");
    const short = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
    await expectUnusable(it, [
      [old, "openssl pkcs8 -topk8"],
      [locked, "openssl pkcs8 -topk8"],
      [open, "no private key"],
      [await openssl(...short), "2048 bits or more"],
    ]);
  },
});

Deno.test("client key: what cannot be used is told apart, and nothing is sent", async () => {
  const key = await makeKey("RS256");
  const { d: _, p: _1, q: _2, dp: _3, dq: _4, qi: _5, ...open } = key.jwk;
  await using it = await keyWorld([key.registered]);
  await expectUnusable(it, [
    ["", "empty"],
    [" \n", "empty"],
    ["x".repeat(70_000), "70000 bytes"],
    ...[
      JSON.stringify(open),
      JSON.stringify({ keys: [key.jwk] }),
      JSON.stringify({ kty: "oct", k: "c2VjcmV0" }),
      ...["HS256", "none", "ES256", "constructor"].map((alg) =>
        JSON.stringify({ ...key.jwk, alg })
      ),
      JSON.stringify(key.jwk).slice(0, -5),
      key.pem.replace(/[A-Za-z]{20}/, "A"),
      "<html>Sign in</html>",
    ].map((text): Unusable => [text, "no private key"]),
  ]);
});

Deno.test({
  name: "client key: only a regular file that is closed to others is read",
  ignore: !isPosix, // Windows has neither pipes in folders nor modes
  async fn() {
    const key = await makeKey("ES256");
    await using it = await keyWorld([key.registered]);
    const path = await it.file(key.pem);
    const attempt = (clientKeyFile: string, ...words: string[]) =>
      rejectsWith(
        "client_auth_unusable",
        () => createSession(jobOptions(it.world, { clientKeyFile })),
        clientKeyFile,
        ...words,
      );
    await attempt(`${it.dir}/absent`, "not there");
    await attempt(it.dir, "a folder");
    await makePipe(`${it.dir}/pipe`);
    await attempt(`${it.dir}/pipe`, "a named pipe");
    await attempt("/dev/zero", "a device");
    await Deno.symlink(`${it.dir}/pipe`, `${it.dir}/link`);
    await attempt(`${it.dir}/link`, "a named pipe");
    if (Deno.uid() !== 0) {
      await Deno.chmod(path, 0o644);
      await attempt(path, "others may read it (mode 0644)", "chmod 600");
    } else {
      // The superuser's own file may be open: mounts of a cluster are. Another user's may not.
      await Deno.chmod(path, 0o666);
      await attempt(path, "others may write it", "chmod");
      await Deno.chown(path, 1234, 1234);
      await Deno.chmod(path, 0o644);
      await attempt(path, "belongs to another user");
      await Deno.chmod(path, 0o600);
      await attempt(path, "belongs to another user");
      await Deno.chown(path, 0, 0);
      await Deno.symlink(path, `${it.dir}/planted`);
      await mustRun(["chown", "-h", "1234", `${it.dir}/planted`]);
      await attempt(`${it.dir}/planted`, "belongs to another user");
    }
  },
});
