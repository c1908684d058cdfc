import { assert, assertEquals, assertMatch } from "@std/assert";
import { mustRun } from "../../support/deno_process.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { startKubernetes } from "../../support/servers/kubernetes_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startKubelet } from "../../support/servers/kubelet.ts";
import { startVault, untilSo } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { writeProgram } from "../../support/write_program.ts";
import {
  introduceToVault,
  letVaultReview,
  makeAccount,
  makeNamespace,
} from "./cluster_accounts.ts";
import { type Store, STORES } from "./helm.ts";
import { makePodImage, type PodUser } from "./pod.ts";
import { NAMES, podsOf, type Rendered } from "./rendered_pods.ts";

/** Zero to JupyterHub's, and one of OpenShift: a uid without a name, in the superuser's group. */
const JOVYAN: PodUser = { uid: 1000, groups: [100] };
const RANDOM: PodUser = { uid: 1_000_660_000, groups: [0] };

const live = await liveTests("accounts", "helm", "kubespawner");
const inCluster = await liveTests(
  "accounts",
  "helm",
  "kubespawner",
  "kubernetes",
  "kubelet",
  "vault",
);

const stack = new AsyncDisposableStack();
live.afterAll(() => stack.disposeAsync());
const image = await live.shared(() => makePodImage(stack));
const provider = await live.shared(async () =>
  stack.use(await startOidcProvider({ interval: 0.2 }))
);

/** The pod of one person by a `values.yaml`. */
async function podOf(store: Store, name = "anna"): Promise<Rendered> {
  return (await podsOf(store)).find((one) => one.name === name)!;
}

function envOf({ pod }: Rendered): Record<string, string> {
  return Object.fromEntries(pod.spec.containers[0].env.map(({ name, value }) => [name, value]));
}

/** Signs in, or starts from what is stored; prints what happened. */
const SIGN_IN = `
  import * as vm from "jsr:@validmind/auth";
  let asked = 0;
  try {
    const session = await vm.createSession({ onDeviceCode: () => { asked++; } });
    const { email, backend } = await session.status();
    console.log(JSON.stringify({ asked, email, backend: backend.name }));
  } catch (error) {
    console.log(JSON.stringify({ asked, code: error.code, message: error.message }));
  }
`;

type Told = { asked: number } & { [name in "email" | "backend" | "code" | "message"]?: string };

/** What a start tells that signs Anna in, or finds her. */
const signedIn = (asked: number, store: string): Told => ({
  asked,
  email: "anna@example.com",
  backend: `${store}CredentialsBackend`,
});

/** What starts a person's pod by a recipe, with the provider of this test. */
function starterOf(
  rendered: Rendered,
  user: PodUser,
  volumes: Record<string, string>,
  more: Record<string, string> = {},
): () => Promise<Told> {
  const env = {
    ...envOf(rendered),
    HOME: "/home/jovyan",
    PATH: "/usr/bin:/bin",
    VM_OIDC_ISSUER: provider.issuer,
    VM_OIDC_CLIENT_ID: provider.clientId,
    ...more,
  };
  return () => {
    provider.autoApprove = { login: "anna@example.com" };
    return image.run<Told>({ user, volumes, env, code: SIGN_IN });
  };
}

/** A volume of a person's own, as the cluster gives one: of the superuser, for the pod's group. */
async function volume({ groups: [group] }: PodUser): Promise<string> {
  const { path } = stack.use(await tempDir("validmind-auth-volume-"));
  await Deno.chown(path, 0, group!);
  await Deno.chmod(path, 0o2775);
  return path;
}

/** The hub makes a service account for each person, and Vault's path is its name. */
function hasOwnAccount({ name, pod: { spec }, asked }: Rendered): void {
  assertMatch(spec.serviceAccountName!, /^notebook-[a-z0-9-]+$/, name);
  assert(spec.serviceAccountName!.length <= 63);
  assertEquals(asked.map(([space, { metadata }]) => [space, metadata.name]), [
    ["hub", spec.serviceAccountName],
  ]);
  assertEquals(spec.automountServiceAccountToken, false, "no token of the cluster's own");
}

for (const form of ["yaml", "py"] as const) {
  live.test(`Kubernetes: KubeSpawner starts each person by the recipes (${form})`, async () => {
    for (const store of STORES) {
      const places = new Set<string>();
      for (const one of await podsOf(store, form)) {
        const env = envOf(one);
        const kwargs = env.VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS;
        assertEquals(env.VM_OIDC_CLIENT_ID, "my-client");
        assertEquals(env.VM_OIDC_NO_PERSIST, store === "memory" ? "1" : undefined);
        if (kwargs !== undefined) places.add(JSON.parse(kwargs).path);
        if (store === "vault" && form === "yaml") hasOwnAccount(one);
      }
      assertEquals(places.size, store === "vault" ? NAMES.length : store === "helper" ? 1 : 0);
    }
  });
}

for (const [place, user] of [["Zero to JupyterHub", JOVYAN], ["OpenShift", RANDOM]] as const) {
  live.test(`Kubernetes, file: a sign-in outlives the pod and its mounts (${place})`, async () => {
    const home = await volume(user);
    const start = starterOf(await podOf("file"), user, { "/home/jovyan": home });
    assertEquals(await start(), signedIn(1, "File"));
    // What kubelet does to a volume with an fsGroup, each time it mounts it.
    await mustRun(["chgrp", "-R", String(user.groups[0]), home]);
    await mustRun(["chmod", "-R", "g+rwX", home]);
    await mustRun(["find", home, "-type", "d", "-exec", "chmod", "g+s", "{}", "+"]);
    assertEquals(await start(), signedIn(0, "File"));
  });
}

live.test("Kubernetes, file: without a home the error says so", async () => {
  const told = await starterOf(await podOf("file"), RANDOM, {}, { HOME: "/" })();
  assertEquals([told.asked, told.code], [0, "backend_unavailable"]);
  assertMatch(told.message!, /\/\.validmind/);
});

live.test("Kubernetes, memory: each start asks, and nothing needs to be writable", async () => {
  const start = starterOf(await podOf("memory"), RANDOM, {}, { HOME: "/" });
  for (let times = 0; times < 2; times++) assertEquals(await start(), signedIn(1, "Memory"));
});

live.test("Kubernetes, helper: a program of the image keeps the sign-in", async () => {
  const { path } = stack.use(await tempDir("validmind-auth-image-"));
  await Deno.chmod(path, 0o755);
  const program = `#!/bin/sh\nexec ${image.deno.join(" ")} /opt/bank/helper.ts "$@"\n`;
  writeProgram(`${path}/docker-credential-bank`, program);
  await Deno.writeTextFile(`${path}/helper.ts`, HELPER);
  const start = starterOf(await podOf("helper"), JOVYAN, {
    "/home/jovyan": await volume(JOVYAN),
    "/opt/bank": path,
    "/run/kept": await volume(JOVYAN),
  });
  assertEquals(await start(), signedIn(1, "Helper"));
  assertEquals(await start(), signedIn(0, "Helper"));
});

const HELPER = `
  import { FileCredentialsBackend } from "jsr:@validmind/auth";
  import { serveHelper } from "jsr:@validmind/auth/backends/helper";
  await serveHelper(new FileCredentialsBackend({ path: "/run/kept/credentials.json" }));
`;

/** A pod of the recipe, with another name and another audience of its token. */
function forAudience({ pod, ...rest }: Rendered, audience: string): Rendered {
  const text = JSON.stringify(pod).replace('"audience":"vault"', `"audience":"${audience}"`);
  return { ...rest, pod: { ...JSON.parse(text), metadata: { name: audience } } };
}

inCluster.test("Kubernetes, Vault: each pod logs in by the token of its kubelet, and again when that is rotated", async () => {
  const [anna, berta] = [await podOf("vault", "anna.b@bank.com"), await podOf("vault")];
  await using vault = await startVault();
  await using cluster = await startKubernetes();
  await makeNamespace(cluster, "hub");
  for (const { pod: { spec } } of [anna, berta]) {
    await makeAccount(cluster, spec.serviceAccountName!, "hub");
  }
  await introduceToVault(cluster, vault);
  await letVaultReview(cluster);
  await using kubelet = await startKubelet(cluster);
  const home = await volume(JOVYAN);
  /** Starts Anna's program in a person's pod. */
  const starterIn = async ({ pod }: Rendered) => {
    const folder = (await kubelet.run(pod, "hub"))("vault-login");
    const volumes = { "/home/jovyan": home, "/run/secrets/vault": folder };
    const start = starterOf(anna, JOVYAN, volumes, { VAULT_ADDR: vault.url });
    return { start, token: `${folder}/token` };
  };

  const own = await starterIn(anna);
  assertEquals(await own.start(), signedIn(1, "Vault"));
  const before = await Deno.readTextFile(own.token);
  await kubelet.restart();
  await untilSo(async () => await Deno.readTextFile(own.token) !== before);
  assertEquals(await own.start(), signedIn(0, "Vault"));

  // Berta changes the path in her own notebook: the policy goes by her account.
  const denied = await (await starterIn(berta)).start();
  assertEquals([denied.asked, denied.code], [0, "backend_denied"]);
  assertMatch(denied.message!, /users\/notebook-anna/);

  // A token for another audience is none.
  const refused = await (await starterIn(forAudience(anna, "elsewhere"))).start();
  assertEquals([refused.asked, refused.code], [0, "backend_auth_failed"], refused.message);
});
