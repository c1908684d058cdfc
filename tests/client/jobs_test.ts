// The recipes of the page about jobs, as they stand there. The test is the platform.
import { assertEquals } from "@std/assert";
import { pageFences } from "../readme_reader.ts";
import { DENO, runDeno, runProcess } from "../support/deno_process.ts";
import { startJsrRegistry } from "../support/jsr_registry.ts";
import { federatedWorld, startGitHubRunner } from "../support/key_world.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { tempDir } from "../support/temp_home.ts";

const JOB = `import { createSession } from "jsr:@validmind/auth";
await using session = await createSession();
console.log((await session.fetch("things")).status);
`;
/** In a recipe, for the folder of the job: the path of that may need quotes in a shell. */
const FOLDER = "$JOB_FOLDER";
const VARIABLES = /^\s*(VM_\w+)[:=] ?"?([^"\n]*)"?$/gm;

type Variables = Record<string, string>;

const ignore = Deno.build.os === "windows"; // a POSIX shell

/** For all recipes: they only read from it, and to publish takes longer than a recipe. */
const registry = ignore ? undefined : await startJsrRegistry();
Deno.test.afterAll(async () => await registry?.[Symbol.asyncDispose]());

/** A provider, an API and a machine with a job and the key of its client. */
async function jobWorld() {
  const it = await federatedWorld();
  const { issuer, clientId } = it.world.provider;
  const fences = await pageFences("client/jobs.md");
  await Deno.writeTextFile(`${it.dir}/job.ts`, JOB);
  await it.file(JSON.stringify(it.cluster.key.privateJwk), "client.pem");
  await Deno.symlink(DENO, `${it.dir}/deno`);
  return {
    ...it,
    recipe: (heading: string) =>
      fences.find((fence) => fence.heading === heading)!.text
        .replaceAll("https://login.example.com", issuer)
        .replaceAll("https://api.example.com/", it.world.api.apiHost)
        .replaceAll("my-job", clientId)
        .replaceAll(
          /\/home\/me\/\.deno\/bin|\/home\/me|\/(opt|etc)\/report|\/usr\/local\/bin/g,
          () => FOLDER,
        ).replaceAll("/var/run/secrets", () => FOLDER),
    path: (text: string) => text.replaceAll(FOLDER, () => it.dir),
    /** Runs a command as the platform does: with these variables, and no others. */
    async run(command: string, env: Variables) {
      const own = { HOME: FOLDER, PATH: `${FOLDER}:/usr/bin:/bin`, JOB_FOLDER: FOLDER, ...env };
      const paths = Object.entries(own).map(([name, value]) => [name, this.path(value)]);
      const all = { ...registry!.env, ...Object.fromEntries(paths) };
      const shell = ["sh", "-c", command.replaceAll(FOLDER, () => `"${FOLDER}"`)];
      const { stdout, stderr } = await runProcess(shell, { cwd: it.dir, env: all });
      assertEquals(stdout, "200\n", stderr);
    },
  };
}

function variablesOf(recipe: string): Variables {
  const found = [...recipe.matchAll(VARIABLES)];
  return Object.fromEntries(found.map(([, name, value]) => [name, value]));
}

function only(recipe: string, pattern: RegExp): string {
  return pattern.exec(recipe)![1]!;
}

type Jobs = Awaited<ReturnType<typeof jobWorld>>;

const RECIPES: Record<string, (jobs: Jobs, recipe: string) => Promise<void>> = {
  async "GitHub Actions"(jobs, recipe) {
    await using runner = await startGitHubRunner(() => jobs.assertion());
    const env = { ...variablesOf(recipe), ...runner.variables };
    await jobs.run(only(recipe, /- run: (.*)/), env);
    assertEquals(runner.audiences, [jobs.world.provider.issuer]);
  },
  async "GitLab CI"(jobs, recipe) {
    const aud = only(recipe, /aud: (.*)/);
    const name = only(recipe, /id_tokens:\n\s+(\w+):/);
    const env = { ...variablesOf(recipe), [name]: await jobs.assertion({ aud }) };
    await jobs.run(only(recipe, /script:\n\s+- (.*)/), env);
  },
  async Kubernetes(jobs, recipe) {
    const folder = jobs.path(only(recipe, /mountPath: ([^,]*),/));
    const [, path, aud] = /path: (\w+), audience: "([^"]*)"/.exec(recipe)!;
    await Deno.mkdir(folder);
    const assertion = await jobs.assertion({ aud });
    await Deno.writeTextFile(`${folder}/${path}`, assertion, { mode: 0o400 });
    const lines = recipe.replaceAll(/\{ name: (VM_\w+), value: "?([^" ]*)"? \}/g, "\n$1: $2\n");
    await jobs.run("deno run -A job.ts", variablesOf(lines));
  },
  async cron(jobs, recipe) {
    const PATH = only(recipe, /^PATH=(.*)/m);
    await jobs.run(only(recipe, /^17 6 \* \* 1-5 (.*)/m), { ...variablesOf(recipe), PATH });
  },
  async systemd(jobs, recipe) {
    const credentials = `${FOLDER}/credentials`;
    await Deno.mkdir(jobs.path(credentials));
    const [name, source] = only(recipe, /^LoadCredential=(.*)/m).split(":");
    const key = jobs.path(`${credentials}/${name}`);
    await Deno.copyFile(jobs.path(source!), key);
    await Deno.chmod(key, 0o400);
    const assignments = [...recipe.matchAll(/^Environment=(.*)/gm)].flatMap(([, line]) =>
      line!.replaceAll("%d", () => credentials).split(" ")
    ).filter((assignment) => !assignment.startsWith("DENO_DIR=")); // the registry's
    const env = Object.fromEntries(assignments.map((assignment) => assignment.split("=")));
    await jobs.run(only(recipe, /^ExecStart=(.*)/m), env);
  },
};

for (const [heading, follow] of Object.entries(RECIPES)) {
  const name = `jobs: the recipe for ${heading} gets a token for the job`;
  Deno.test(name, { ignore }, async () => {
    await using jobs = await jobWorld();
    await follow(jobs, jobs.recipe(heading));
  });
}

Deno.test("jobs: the example for another token exchanges it", async () => {
  await using world = await scriptedProviderWorld();
  await using folder = await tempDir();
  const file = `${folder.path}/ada`;
  await Deno.writeTextFile(file, "token-of-the-hub", { mode: 0o600 });
  const fences = await pageFences("client/jobs.md");
  const { text } = fences.find(({ heading }) => heading === "By another token")!;
  const code = `import { createSession } from "@validmind/auth";
    ${text.replace('"/run/hub/ada"', JSON.stringify(file))}
    console.log((await session.status()).flow);`;
  const { issuer, clientId } = world.provider;
  const env = { HOME: folder.path, VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId };
  const { stdout, stderr } = await runDeno({ code, flags: ["-A"], env });
  assertEquals(stdout, "token_exchange\n", stderr);
});
