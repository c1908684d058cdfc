import { mustRun, type ProcessResult, runProcess } from "../deno_process.ts";
import { makeLocalCa } from "../local_ca.ts";
import { tempDir } from "../temp_home.ts";
import { freePort } from "./free_port.ts";
import { startServerProcess } from "./server_process.ts";
import { serverBinary } from "./servers.ts";
import { untilSo } from "./vault_server.ts";

/** Options of {@linkcode startKubernetes}. */
export interface KubernetesOptions {
  /** The AuthenticationConfiguration, as YAML. */
  authentication?: string;
}

/** A cluster without nodes: an API server and etcd. */
export type KubernetesCluster = Awaited<ReturnType<typeof startKubernetes>>;

/** Starts etcd and an API server on loopback, and makes kubectl ready for the superuser. */
export async function startKubernetes({ authentication }: KubernetesOptions = {}) {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir("validmind-auth-cluster-"));
  await Deno.chmod(path, 0o755);
  const binary = await serverBinary("kubernetes");
  const program = async (name: string) => {
    await Deno.symlink(binary, `${path}/${name}`);
    return `${path}/${name}`;
  };
  const [etcd, server, kubectl] = [
    await program("etcd"),
    await program("kube-apiserver"),
    await program("kubectl"),
  ];
  const [etcdUrl, peerUrl] = [freePort(), freePort()].map((port) => `http://127.0.0.1:${port}`);
  const startStore = () =>
    startServerProcess({
      command: [
        ...[etcd, `--data-dir=${path}/state`, "--unsafe-no-fsync"],
        ...[`--listen-client-urls=${etcdUrl}`, `--advertise-client-urls=${etcdUrl}`],
        ...[`--listen-peer-urls=${peerUrl}`, `--initial-advertise-peer-urls=${peerUrl}`],
        `--initial-cluster=default=${peerUrl}`,
      ],
      readyOn: "stderr",
      ready: /(ready to serve client requests)/,
    });
  let store = await startStore();
  stack.defer(() => store.end("KILL"));

  const port = freePort();
  const url = `https://localhost:${port}`;
  const token = crypto.randomUUID();
  const caFile = `${path}/ca.pem`;
  const authority = await makeLocalCa();
  const { cert, key } = await authority.issue(["localhost", "127.0.0.1"]);
  const files: Record<string, string> = {
    "ca.pem": authority.cert,
    "server.pem": cert,
    "server.key": key,
    "tokens.csv": `${token},admin,admin,system:masters\n`,
    ...authentication !== undefined && { "authentication.yaml": authentication },
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${path}/${name}`, text);
  }
  const rsa = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
  await mustRun(["openssl", ...rsa, "-out", `${path}/accounts.key`]);
  const startApi = () =>
    startServerProcess({
      command: [
        ...[
          server,
          `--etcd-servers=${etcdUrl}`,
          "--bind-address=127.0.0.1",
          `--secure-port=${port}`,
        ],
        ...[`--tls-cert-file=${path}/server.pem`, `--tls-private-key-file=${path}/server.key`],
        ...[`--cert-dir=${path}/made`, `--token-auth-file=${path}/tokens.csv`],
        ...[`--service-account-issuer=${url}`, `--service-account-jwks-uri=${url}/openid/v1/jwks`],
        `--service-account-key-file=${path}/accounts.key`,
        `--service-account-signing-key-file=${path}/accounts.key`,
        ...[`--api-audiences=${url}`, "--authorization-mode=Node,RBAC", "--allow-privileged=true"],
        ...["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"],
        ...authentication === undefined
          ? []
          : [`--authentication-config=${path}/authentication.yaml`],
      ],
      readyOn: "stderr",
      ready: /(Serving securely on)/,
    });
  let api = await startApi();
  stack.defer(() => api.end("KILL"));
  const kubeconfig = `${path}/kubeconfig`;
  await Deno.writeTextFile(kubeconfig, JSON.stringify(configOf(url, caFile, { token })));
  const run = (args: readonly string[], stdin = "") =>
    runProcess([kubectl, ...args], { env: { KUBECONFIG: kubeconfig, HOME: path }, stdin });
  const isReady = async () => (await run(["get", "--raw", "/readyz"])).code === 0;
  await untilSo(isReady);
  const started = stack.move();
  return {
    url,
    caFile,
    /** The folder with kubectl. */
    folder: path,
    kubectl,
    /** Runs kubectl as the superuser; gives what it prints. */
    async admin(args: readonly string[], stdin: object | string = ""): Promise<string> {
      const text = typeof stdin === "string" ? stdin : JSON.stringify(stdin);
      const { code, stdout, stderr } = await run(args, text);
      if (code !== 0) throw new Error(`Cannot run kubectl ${args.join(" ")}: ${stderr}`);
      return stdout;
    },
    /** Runs kubectl as a user of a kubeconfig. */
    async as(user: object, args: readonly string[], env = {}): Promise<ProcessResult> {
      const own = `${path}/${crypto.randomUUID()}`;
      await Deno.writeTextFile(own, JSON.stringify(configOf(url, caFile, user)));
      return await runProcess([kubectl, "--kubeconfig", own, ...args], {
        env: { HOME: path, ...env },
      });
    },
    /** Starts `kubectl proxy` as a user of a kubeconfig. */
    async proxy(user: object, env: Record<string, string>) {
      const own = `${path}/${crypto.randomUUID()}`;
      await Deno.writeTextFile(own, JSON.stringify(configOf(url, caFile, user)));
      const proxy = await startServerProcess({
        command: [kubectl, "--kubeconfig", own, "proxy", "--port=0"],
        readyOn: "stdout",
        ready: /Starting to serve on (\S+)/,
        env,
      });
      return { url: `http://${proxy.said}`, [Symbol.asyncDispose]: () => proxy.end("KILL") };
    },
    /** Kills its programs. */
    async stop(): Promise<void> {
      await Promise.all([api.end("KILL"), store.end("KILL")]);
    },
    /** Starts it again, at the same address and with the same data. */
    async start(): Promise<void> {
      store = await startStore();
      api = await startApi();
      await untilSo(isReady);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** A kubeconfig with one cluster and one user. JSON is YAML, too. */
function configOf(server: string, caFile: string, user: object) {
  return {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "it" },
    clusters: [{ name: "it", cluster: { server, "certificate-authority": caFile } }],
    users: [{ name: "it", user }],
    contexts: [{ name: "it", context: { cluster: "it", user: "it" } }],
  };
}
