// A job of a real cluster, whose token is its proof at a real Keycloak.
import { assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { pageFences } from "../../readme_reader.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { startKeycloak } from "../../support/servers/keycloak_server.ts";
import { type NodePod, startKubelet } from "../../support/servers/kubelet.ts";
import { startKubernetes } from "../../support/servers/kubernetes_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { untilSo } from "../../support/servers/vault_server.ts";
import { makeAccount, makeNamespace } from "./cluster_accounts.ts";

const PAGE = await Deno.readTextFile(new URL("../../../client/jobs.md", import.meta.url));
const ISSUER = "https://login.example.com";

const live = await liveTests("kubernetes", "kubelet", "keycloak");

type Pod = NodePod & { spec: { containers: [{ env: { name: string; value: string }[] }] } };

/** A pod with the recipe of the page, as YAML. */
async function podOfPage(name: string, issuer: string, audience: string): Promise<string> {
  const { text } = (await pageFences("client/jobs.md")).find(({ heading, language }) =>
    heading === "Kubernetes" && language === "yaml"
  )!;
  const [ofContainer, ofPod] = text.split(/(?=^volumes:)/m) as [string, string];
  const indented = (part: string, by: string) => part.replaceAll(/^/gm, by);
  return [
    ...["apiVersion: v1", "kind: Pod", "metadata:", `  name: ${name}`],
    "spec:",
    "  serviceAccountName: report",
    "  automountServiceAccountToken: false", // no controller makes what that volume needs
    "  containers:",
    "    - name: job",
    "      image: job",
    indented(ofContainer, "      "),
    indented(ofPod, "  "),
  ].join("\n").replace(`audience: "${ISSUER}"`, `audience: "${audience}"`)
    .replaceAll(ISSUER, issuer);
}

live.test("Kubernetes: a job's own token is its proof at Keycloak, as the page has it", async () => {
  await using cluster = await startKubernetes();
  const keycloak = startKeycloak(cluster.caFile);
  await makeNamespace(cluster, "jobs");
  await makeAccount(cluster, "report", "jobs");
  await using kubelet = await startKubelet(cluster);
  await using server = await keycloak;
  await server.admin("POST", "", {
    ...{ realm: "bank", enabled: true, sslRequired: "none" },
    identityProviders: [
      {
        alias: "cluster",
        providerId: "kubernetes",
        enabled: true,
        config: { issuer: cluster.url },
      },
    ],
    clients: [{
      ...{ clientId: "my-job", publicClient: false, serviceAccountsEnabled: true },
      clientAuthenticatorType: "federated-jwt",
      attributes: {
        "jwt.credential.issuer": "cluster",
        "jwt.credential.sub": "system:serviceaccount:jobs:report",
      },
    }],
  });
  const issuer = `http://127.0.0.1:${server.port}/realms/bank`;
  /** Puts a job on the node; gives its token's file, and its sign-in with the pod's variables. */
  const start = async (name: string, audience: string) => {
    const parse = ["create", "--dry-run=client", "--output", "json", "--filename", "-"];
    const pod: Pod = JSON.parse(
      await cluster.admin(parse, await podOfPage(name, issuer, audience)),
    );
    const token = `${(await kubelet.run(pod, "jobs"))("oidc")}/token`;
    const [{ env }] = pod.spec.containers;
    const variables = Object.fromEntries(
      env.map(({ name, value }) => [name, value.replace("/var/run/secrets/oidc/token", token)]),
    );
    const signIn = () => withEnv(variables, () => createSession());
    return { token, signIn };
  };

  const job = await start("report", issuer);
  // Keycloak may not read the cluster's keys yet.
  await rejectsWith("provider_refused", job.signIn, job.token, "iss, sub and aud");
  const [, command] = /`kubectl (create clusterrolebinding oidc [^`]+)`/.exec(PAGE)!;
  await cluster.admin(command!.split(/\s+/));
  const other = await start("elsewhere", "elsewhere");
  await rejectsWith("provider_refused", other.signIn, other.token, "audience (aud)");
  const session = await job.signIn();
  assertEquals((await session.status()).flow, "client_credentials");

  const before = await Deno.readTextFile(job.token);
  await kubelet.restart();
  await untilSo(async () => await Deno.readTextFile(job.token) !== before);
  const first = await session.accessToken();
  assertNotEquals(await session.accessToken({ forceRefresh: true }), first);
});
