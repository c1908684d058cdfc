// By a real API server. It has no nodes: a pod is accepted, and does not run.
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { createSession } from "../../../client/create_session.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { pageFences } from "../../readme_reader.ts";
import { DENO } from "../../support/deno_process.ts";
import { makeLocalCa } from "../../support/local_ca.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";
import { startKubernetes } from "../../support/servers/kubernetes_server.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startVault, untilSo } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import {
  introduceToVault,
  letVaultReview,
  makeAccount,
  makeNamespace,
  tokenOf,
} from "./cluster_accounts.ts";
import { STORES } from "./helm.ts";
import { podsOf } from "./rendered_pods.ts";

const CLI = fromFileUrl(new URL("../../../client/cli.ts", import.meta.url));
const KEY = credentialKey("https://login.example.com", "my-client");

const live = await liveTests("kubernetes", "helm", "kubespawner", "vault");

live.test("Kubernetes: an API server accepts each person's pod by each recipe, as far as the page says", async () => {
  await using cluster = await startKubernetes();
  await makeNamespace(cluster, "hub");
  const create = async (pods: unknown[]) => {
    const list = { apiVersion: "v1", kind: "List", items: pods };
    const dryRun = ["create", "--namespace", "hub", "--dry-run=server", "--filename", "-"];
    return (await cluster.admin(dryRun, list)).trim().split("\n").length;
  };
  // All that the chart adds to a pod is switched off by the setting of the page.
  const enforce = async (level: string) => {
    const label = `pod-security.kubernetes.io/enforce=${level}`;
    await cluster.admin(["label", "--overwrite", "namespace", "hub", label]);
  };
  for (const store of STORES) {
    const rendered = await podsOf(store);
    for (const [, { metadata }] of rendered.flatMap(({ asked }) => asked)) {
      await makeAccount(cluster, metadata.name, "hub");
    }
    await enforce("baseline");
    assertEquals(await create(rendered.map(({ pod }) => pod)), rendered.length, store);
    await enforce("restricted");
    await assertRejects(() => create([rendered[0]!.pod]), Error, "restricted");
  }
});

/** A cluster that Vault asks about the accounts of a namespace, each with its token in a file. */
async function clusterWithVault(...names: string[]) {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startKubernetes());
  const vault = stack.use(await startVault());
  const { path } = stack.use(await tempDir());
  await makeNamespace(cluster, "hub");
  for (const name of names) await makeAccount(cluster, name, "hub");
  await introduceToVault(cluster, vault);
  const started = stack.move();
  return {
    cluster,
    vault,
    /** Writes a new token of an account. */
    async renew(name: string): Promise<void> {
      const token = await tokenOf(cluster, name, "hub", "vault");
      await Deno.writeTextFile(`${path}/${name}`, token, { mode: 0o600 });
    },
    /** A store that has not logged in yet. */
    open: (name: string, folder = name) =>
      new VaultCredentialsBackend({
        address: vault.url,
        path: `users/${folder}`,
        timeoutMs: 2_000,
        auth: { method: "kubernetes", role: "notebooks", jwtFile: `${path}/${name}` },
      }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

const [ANNA, BERTA] = ["notebook-anna", "notebook-berta"];

live.test("Kubernetes: Vault asks an API server about the accounts, and needs its role for that", async () => {
  await using it = await clusterWithVault(ANNA);
  await it.renew(ANNA);
  await rejectsWith("backend_auth_failed", () => it.open(ANNA).get(KEY), "status 403");
  await letVaultReview(it.cluster);
  assertEquals(await it.open(ANNA).get(KEY), undefined);
  await rejectsWith("backend_denied", () => it.open(ANNA, BERTA).get(KEY));
  await it.renew(ANNA); // a rotated token serves the next login
  assertEquals(await it.open(ANNA).get(KEY), undefined);
});

live.test("Kubernetes: a sealed Vault, a cluster that is away and an account made anew are told apart, and the others' entries stay", async () => {
  await using it = await clusterWithVault(ANNA, BERTA);
  const { cluster, vault } = it;
  const { host } = new URL(vault.url);
  await letVaultReview(cluster);
  const entry = { issuer: "https://login.example.com", client_id: "my-client", access_token: "at" };
  for (const name of [ANNA, BERTA]) {
    await it.renew(name);
    await it.open(name).put(KEY, entry);
  }
  const isKept = async (name: string) => assertEquals(await it.open(name).get(KEY), entry, name);

  const loggedIn = it.open(ANNA);
  await loggedIn.get(KEY);
  await vault.request("PUT", "sys/seal");
  for (const store of [loggedIn, it.open(ANNA)]) {
    await rejectsWith("backend_unavailable", () => store.get(KEY), host, "sealed");
  }
  await vault.restart();
  for (const name of [ANNA, BERTA]) await isKept(name);

  await cluster.stop();
  // Vault answers as if the account were not there.
  const words = [host, "status 403", "Vault may ask the cluster"];
  await rejectsWith("backend_auth_failed", () => it.open(BERTA).get(KEY), ...words);
  await cluster.start();
  for (const name of [ANNA, BERTA]) await isKept(name);

  await cluster.admin(["delete", "serviceaccount", ANNA, "--namespace", "hub"]);
  // The server keeps its answers for ten seconds.
  await untilSo(() => it.open(ANNA).get(KEY).then(() => false, () => true));
  await rejectsWith("backend_auth_failed", () => it.open(ANNA).get(KEY), "status 403");
  await isKept(BERTA);
  await makeAccount(cluster, ANNA, "hub");
  await rejectsWith("backend_auth_failed", () => it.open(ANNA).get(KEY), "status 403");
  await it.renew(ANNA);
  await isKept(ANNA); // Vault knows a person by the name, as the page warns
});

const FENCES = await pageFences("client/hubs.md");
const { text: AUTHENTICATION } = FENCES.find(({ heading, language }) =>
  heading === "kubectl" && language === "yaml"
)!;

/** A provider over TLS, and a person who has signed in there with its client, and with another one. */
async function kubectlWorld() {
  await using stack = new AsyncDisposableStack();
  const { path: home } = stack.use(await tempDir());
  const authority = await makeLocalCa();
  const { cert, key } = await authority.issue(["localhost"]);
  const port = freePort();
  const issuer = `https://localhost:${port}`;
  const provider = stack.use(await startScriptedProvider({ issuer }));
  provider.autoApprove = true;
  const { clientId } = provider;
  const listener = { hostname: "127.0.0.1", port, cert, key, onListen() {} };
  stack.use(Deno.serve(listener, async (request) => {
    const { method, headers, url } = request;
    const body = method === "POST" ? await request.bytes() : null;
    return await provider.fetch(url, { method, headers, body });
  }));
  const backend = new FileCredentialsBackend({ path: `${home}/.validmind/credentials.json` });
  await createSession({
    ...{ issuer, clientId, credentialsBackend: backend, onDeviceCode: () => {} },
    fetch: provider.fetch as typeof fetch,
  });
  await backend.put(credentialKey(issuer, OTHER), {
    ...{ issuer, client_id: OTHER, access_token: "at" },
    id_token: await provider.idToken({ aud: OTHER }),
  });
  const ca = `${home}/ca.pem`;
  await Deno.writeTextFile(ca, authority.cert);
  const started = stack.move();
  return {
    home,
    provider,
    /** Replaces the stored ID token by one that ends so many seconds from now. */
    async amend(seconds: number): Promise<void> {
      const key = credentialKey(issuer, clientId);
      const exp = Math.floor(Date.now() / 1000) + seconds;
      await backend.put(key, {
        ...(await backend.get(key))!,
        id_token: await provider.idToken({ exp }),
      });
    },
    refreshes: () =>
      provider.requests.filter(({ grantType }) => grantType === "refresh_token").length,
    /** A cluster that trusts a client of the provider, by the page's configuration. */
    async cluster(client: string = clientId) {
      const trusted = `[${client}], certificateAuthority: ${JSON.stringify(authority.cert)}`;
      const authentication = AUTHENTICATION
        .replace('"https://login.example.com"', JSON.stringify(issuer))
        .replace("[my-client]", trusted);
      return await startKubernetes({ authentication });
    },
    /** The user of a kubeconfig who signs in with a client. */
    user: (client: string = clientId) => ({
      exec: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: DENO,
        args: ["run", "-A", CLI, ...ARGS, "--bearer", "id_token"],
        env: [
          { name: "VM_OIDC_ISSUER", value: issuer },
          { name: "VM_OIDC_CLIENT_ID", value: client },
          { name: "DENO_CERT", value: ca },
        ],
        interactiveMode: "Never",
      },
    }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

const OTHER = "another-client";
const COMMAND_LINE = await Deno.readTextFile(
  new URL("../../../client/command_line.md", import.meta.url),
);
const ARGS = /args: \[(token, .+)\]/.exec(COMMAND_LINE)![1]!.split(", ");
const WHO = ["auth", "whoami", "--output", "json"];
const YOU = "oidc:analyst@example.com";
const whoIn = (stdout: string) => JSON.parse(stdout).status.userInfo.username;

live.test("Kubernetes: kubectl signs in by the page's configuration at two clusters, and twenty at once", async () => {
  await using it = await kubectlWorld();
  await using cluster = await it.cluster();
  await using other = await it.cluster(OTHER);
  const ask = async (one = cluster, user: object = it.user()) => {
    const { code, stdout, stderr } = await one.as(user, WHO, { HOME: it.home });
    return code === 0 ? whoIn(stdout) : stderr;
  };
  // A server asks the provider for its keys some time after its own start.
  await untilSo(async () => await ask() === YOU);
  await untilSo(async () => await ask(other, it.user(OTHER)) === YOU);
  for (const user of [it.user(), { token: "none" }]) {
    assertStringIncludes(await ask(other, user), "You must be logged in to the server");
  }

  await it.amend(-60);
  it.provider.reset();
  const names = await Promise.all(Array.from({ length: 20 }, () => ask()));
  assertEquals(new Set(names), new Set([YOU]));
  assertEquals(it.refreshes(), 1, "twenty at once refresh once");
});

live.test("Kubernetes: a kubectl that goes on asks again when its token has ended", async () => {
  await using it = await kubectlWorld();
  await using cluster = await it.cluster();
  const { provider } = it;
  await untilSo(async () => (await cluster.as(it.user(), WHO, { HOME: it.home })).code === 0);
  await it.amend(-60);
  provider.reset();
  let exp = 0;
  provider.script.token.push(async () => {
    exp = Math.floor(Date.now() / 1000) + 12;
    return provider.tokens({ id_token: await provider.idToken({ exp }) });
  });
  await using proxy = await cluster.proxy(it.user(), { HOME: it.home });
  const get = async () => {
    const response = await fetch(`${proxy.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }),
    });
    const text = await response.text();
    return response.ok ? whoIn(text) : text;
  };
  assertEquals([await get(), await get(), it.refreshes()], [YOU, YOU, 1]);
  await untilSo(() => Promise.resolve(Date.now() / 1000 > exp + 1));
  assertEquals([await get(), it.refreshes()], [YOU, 2]);
});
