import { tempDir } from "../temp_home.ts";
import type { KubernetesCluster } from "./kubernetes_server.ts";
import { startServerProcess } from "./server_process.ts";
import { serverBinary } from "./servers.ts";
import { untilSo } from "./vault_server.ts";

/** The part of a pod that the kubelet looks at. */
export interface NodePod {
  metadata: { name: string; namespace?: string };
  spec: object;
}

/** A node of a cluster. Nothing runs in its pods, whose volumes are real. */
export async function startKubelet(cluster: KubernetesCluster) {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir("validmind-auth-node-"));
  await Deno.chmod(path, 0o755);
  const start = async () =>
    await startServerProcess({
      command: [
        ...[await serverBinary("kubelet"), `--folder=${path}`],
        `--kubeconfig=${cluster.folder}/kubeconfig`,
      ],
      readyOn: "stderr",
      ready: /(Successfully registered node|Node was previously registered)/,
    });
  let kubelet = await start();
  stack.defer(() => kubelet.end("KILL"));
  const started = stack.move();
  return {
    /** Puts a pod on the node, and gives the folder of each of its projected volumes. */
    async run({ metadata, spec }: NodePod, namespace: string): Promise<(volume: string) => string> {
      const pod = {
        ...{ apiVersion: "v1", kind: "Pod" },
        metadata: { name: metadata.name },
        spec: { ...spec, nodeName: "node" },
      };
      await cluster.admin(["create", "--namespace", namespace, "--filename", "-"], pod);
      const find = ["get", "pod", metadata.name, "--namespace", namespace, "--output"];
      const uid = await cluster.admin([...find, "jsonpath={.metadata.uid}"]);
      const phase = () => cluster.admin([...find, "jsonpath={.status.phase}"]);
      await untilSo(async () => await phase() === "Running");
      return (volume) => `${path}/kubelet/pods/${uid}/volumes/kubernetes.io~projected/${volume}`;
    },
    /** Starts it again: it then asks for new tokens, and rotates those of its volumes. */
    async restart(): Promise<void> {
      await kubelet.end("KILL");
      kubelet = await start();
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
