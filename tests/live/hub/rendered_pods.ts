import { fromFileUrl } from "@std/path";
import { mustRun } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { mergedValues, type Store } from "./helm.ts";

const CONFIG = fromFileUrl(new URL("./recipes/kubernetes/jupyterhub_config.py", import.meta.url));
const RENDER = fromFileUrl(new URL("./render_pods.py", import.meta.url));
/** Names of people, as a provider may give them. */
export const NAMES = [
  "anna",
  "anna.b@bank.com",
  "anna-b@bank.com",
  "Anna.B@bank.com",
  "Jürgen Groß",
  "o'brien {x} ${HOME} %s \\",
  `${"long".repeat(30)}@bank.com`,
];
/** A person's pod, and what the hub asked the cluster for. */
export interface Rendered {
  name: string;
  pod: {
    metadata: { name: string };
    spec: {
      serviceAccountName?: string;
      automountServiceAccountToken: boolean;
      containers: [{ env: { name: string; value: string }[] }];
    };
  };
  asked: [namespace: string, account: { metadata: { name: string } }][];
}

const rendered = new Map<string, Promise<Rendered[]>>();

/** The pods of all people by a recipe. */
export function podsOf(store: Store, form: "yaml" | "py" = "yaml"): Promise<Rendered[]> {
  return rendered.getOrInsertComputed(store + form, async () => {
    const python = await serverBinary("kubespawner");
    const command = [python, RENDER, store, ...form === "py" ? [CONFIG] : [], "--", ...NAMES];
    const stdin = form === "py" ? "" : await mergedValues(store);
    return JSON.parse(await mustRun(command, { stdin, timeoutMs: 90_000 }));
  });
}
