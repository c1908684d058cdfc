// By the chart itself, where VM_TEST_CHART names its folder: no registry that CI reaches has it.
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { startKubernetes } from "../../support/servers/kubernetes_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { tempDir } from "../../support/temp_home.ts";
import { makeNamespace } from "./cluster_accounts.ts";
import { mergedValues, render, STORES, valuesOf } from "./helm.ts";

const ACCOUNTS = fromFileUrl(new URL("./recipes/kubernetes/accounts.yaml", import.meta.url));
const chart = Deno.env.get("VM_TEST_CHART");
const live = await liveTests("kubernetes", "helm");

/** A value of a rendered Secret that the hub reads. */
function handedToHub(rendered: string): string {
  return new TextDecoder().decode(
    Uint8Array.fromBase64(/^ +values\.yaml: "?([\w+/=]+)/m.exec(rendered)![1]!),
  );
}

if (chart === undefined) {
  Deno.test({
    name: "Kubernetes: the chart takes each recipe (ignored: VM_TEST_CHART names no chart)",
    ignore: true,
    fn() {},
  });
} else {
  live.test("Kubernetes: the chart takes each recipe, and an API server takes what it renders", async () => {
    await using cluster = await startKubernetes();
    await makeNamespace(cluster, "hub");
    const create = async (manifests: string) => {
      const dryRun = ["create", "--namespace", "hub", "--dry-run=server", "--filename", "-"];
      const lines = (await cluster.admin(dryRun, manifests)).trim().split("\n");
      for (const line of lines) assertMatch(line, / created \(server dry run\)$/);
      return lines.length;
    };
    assertEquals(await create(await Deno.readTextFile(ACCOUNTS)), 2);
    for (const store of STORES) {
      const rendered = await render(chart, valuesOf(store));
      assertEquals(await create(rendered), rendered.match(/^kind:/gm)!.length, store);
      const { singleuser } = JSON.parse(await mergedValues(store));
      for (const [name, value] of Object.entries<string>(singleuser.extraEnv)) {
        assertStringIncludes(handedToHub(rendered), `${name}: `);
        if (/^[\w-]+$/.test(value)) assertStringIncludes(handedToHub(rendered), value);
      }
      const opened = rendered.includes("kubernetes.io/metadata.name: vault");
      assertEquals(opened, store === "vault", "the policy lets people reach Vault");
    }
    await using folder = await tempDir();
    const wrong = `${folder.path}/wrong.yaml`;
    await Deno.writeTextFile(wrong, "singleuser: { extraEnvs: {} }\n");
    await assertRejects(() => render(chart, [...valuesOf("file"), wrong]), Error, "extraEnvs");
  });
}
