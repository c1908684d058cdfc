import { assert, assertEquals, assertMatch } from "@std/assert";
import { CLIENT_SECRET, withClient } from "../../support/client_world.ts";
import { denoCommand, runProcess } from "../../support/deno_process.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

const README = new URL("../../../README.md", import.meta.url);

/** Scripts of a newcomer: README's, and a job whose options say all. */
const SCRIPTS: Record<string, (provider: string) => Promise<string>> = {
  "README's script": async () => {
    const page = await Deno.readTextFile(README);
    const fences = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
    const script = fences.find((code) => code.includes("Working on"));
    assert(script !== undefined);
    return script.replace("jsr:@validmind/auth", "@validmind/auth");
  },
  "a job whose options say all": (named) =>
    Promise.resolve(
      `import { createSession } from "@validmind/auth";
      const clientSecret = ${JSON.stringify(CLIENT_SECRET)};
      await createSession({ ${named}, flow: "client_credentials", clientSecret });
      console.log("Working on");`,
    ),
};

for (const [what, textOf] of Object.entries(SCRIPTS)) {
  Deno.test(`the flags of ${what} are named in two errors: variables, then hosts and files`, {
    ignore: Deno.build.os === "windows", // the flags are for a POSIX shell
  }, async () => {
    const isJob = what.startsWith("a job");
    await using provider = await startOidcProvider(isJob ? withClient() : { interval: 0.05 });
    const accepts = (bearer: string) => provider.isActive(bearer);
    await using api = await startTrackingApi({ accepts });
    await using home = await tempDir();
    provider.autoApprove = true;
    const { issuer, clientId } = provider;
    const named = `issuer: ${JSON.stringify(issuer)}, clientId: ${JSON.stringify(clientId)}`;
    const file = `${home.path}/script.ts`;
    await Deno.writeTextFile(file, await textOf(named));
    const variables = {
      VM_OIDC_ISSUER: issuer,
      VM_OIDC_CLIENT_ID: clientId,
      VM_API_HOST: api.apiHost,
      VM_API_MODEL: "cl123",
    };
    const env = { HOME: home.path, NO_COLOR: "1", ...(isJob ? {} : variables) };
    const [deno, run, ...rest] = denoCommand({ file }).map((word) => `'${word}'`);
    const runWith = (flags: string) =>
      runProcess(["sh", "-c", [deno, run, flags, ...rest].join(" ")], { env });
    let result = await runWith("");
    for (let errors = 0; errors < 2; errors++) {
      assertEquals(result.code, 1);
      const [, flags] = /Run with\n {2}(.*)\n/.exec(result.stderr)!;
      result = await runWith(flags!); // the second error names all of them
    }
    assertEquals(result.code, 0, result.stderr);
    assertMatch(result.stdout, /^Working on/);
  });
}
