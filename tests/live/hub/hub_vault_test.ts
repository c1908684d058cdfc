import { assertEquals, assertRejects } from "@std/assert";
import { pageFences } from "../../readme_reader.ts";
import { mustRun } from "../../support/deno_process.ts";
import { addPythonModules, BothLanguages } from "./both_languages.ts";
import type { HubKernel } from "./hub_kernel.ts";
import { signInFrom } from "./hub_notebook.ts";
import { placesForVault, startHubVault } from "./hub_vault.ts";
import { hubTests, startHubWorld } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";

const LIBRARY = new URL("../../support/validmind_library.py", import.meta.url);
const PYTHON_STORE = ["validmind_store.py", "validmind_store.pth"]
  .map((name) => new URL(`./recipes/${name}`, import.meta.url));
const ROUNDS = 10;

const { test, shared, stack } = await hubTests("vault");

/** Two people, each with a kernel, signed in by the recipe for Vault. */
const it = await shared(async () => {
  const known = await startHubVault();
  stack.use(known.vault);
  const world = stack.use(
    await startHubWorld({
      recipe: "vault.py",
      async prepare(folder) {
        await addPythonModules(folder, LIBRARY, ...PYTHON_STORE);
        return await placesForVault(folder, known);
      },
    }),
  );
  const kernels: HubKernel[] = [];
  for (const user of world.users) {
    await world.hub.robot.startServer(user.name);
    const kernel = stack.use(await world.hub.robot.startKernel(user.name, "deno"));
    await signInFrom(kernel, world, user);
    kernels.push(kernel);
  }
  const page = await pageFences("backends/README.md");
  const hash = page.find(({ text }) => text.includes("| sha256sum"))!.text
    .replace("ISSUER", world.provider.issuer).replace("CLIENT_ID", world.provider.clientId);
  const [name] = (await mustRun(["sh", "-c", hash])).split(" ");
  return { world, kernels, vault: known.vault, name };
});

/** What Vault says to the second person, who logs in with all that the hub gave. */
const asSecond = (method: string, path: string) =>
  it.kernels[1]!.evaluate(`
  const { VAULT_ADDR, VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS, JUPYTERHUB_USER } = Deno.env.toObject();
  const kwargs = VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS.replaceAll("\${JUPYTERHUB_USER}", JUPYTERHUB_USER);
  const jwt = await Deno.readTextFile(JSON.parse(kwargs).auth.jwtFile);
  const login = await fetch(VAULT_ADDR + "/v1/auth/jwt/login", {
    method: "POST", body: JSON.stringify({ role: "notebooks", jwt }),
  });
  const token = (await login.json()).auth.client_token;
  const answer = await fetch(VAULT_ADDR + "/v1/secret/${path}", {
    method: "${method}", headers: { "X-Vault-Token": token },
  });
  await answer.body?.cancel();
  return answer.status;`);

test("JupyterHub, Vault: each person's sign-in is in the person's own folder", async () => {
  for (const { name, home } of it.world.users) {
    const path = `secret/data/users/${name}/${it.name}`;
    const { status, body } = await it.vault.request("GET", path);
    assertEquals(status, 200);
    const entry = JSON.parse(body.data.data.entry);
    assertEquals(await it.world.provider.isActive(entry.access_token), true);
    await assertRejects(() => Deno.stat(`${home}/.validmind`), Deno.errors.NotFound);
  }
});

test("JupyterHub, Vault: a person's login reads no entry of another: 403 by the policy", async () => {
  const [first, second] = it.world.users;
  assertEquals(await asSecond("GET", `data/users/${second!.name}/${it.name}`), 200);
  for (const kind of ["data", "metadata"]) {
    for (const method of ["GET", "DELETE"]) {
      const path = `${kind}/users/${first!.name}/${it.name}`;
      assertEquals(await asSecond(method, path), 403, `${method} ${kind}`);
    }
  }
  for (const folder of ["users/", `users/${first!.name}/`]) {
    assertEquals(await asSecond("GET", `metadata/${folder}?list=true`), 403, folder);
  }
});

test("JupyterHub, Vault: the login of another person is a file that only that person reads", async () => {
  const [first, second] = it.world.users;
  const folder = `${it.world.folder.path}/logins`;
  const { uid, mode } = await Deno.stat(`${folder}/${first!.name}`);
  assertEquals([uid, mode! & 0o777], [first!.uid, 0o400]);
  const told = await it.kernels[1]!.outcomes(
    `Deno.readTextFile("${folder}/${first!.name}")`,
    `Deno.symlink("/etc/passwd", "${folder}/someone")`,
    `Deno.remove("${folder}/${second!.name}")`,
  );
  assertEquals(told, Array(3).fill("PermissionDenied"));
});

test("JupyterHub, Vault: a sign-in in one language serves the other, and both refresh at once", async () => {
  const [user] = it.world.users;
  await using python = await it.world.hub.robot.startKernel(user!.name, "python3");
  await python.evaluate("import validmind_library\nvalue = None"); // the .pth file does the rest
  const both = new BothLanguages(it.world, user!, it.kernels[0]!, python);
  await both.shareSignIn();
  for (let round = 0; round < ROUNDS; round++) await both.refreshAtOnce();
});

test("JupyterHub, Vault: no token is in a file, a log, or among a process's arguments", async () => {
  await searchForSecrets(it.world, { except: [`${it.world.folder.path}/logins`] });
});
