import { fromFileUrl } from "@std/path";
import { mustRun } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";

const RECIPES = fromFileUrl(new URL("./recipes/kubernetes/", import.meta.url));

/** The stores of the recipes. */
export const STORES = ["file", "memory", "helper", "vault"] as const;
/** One of {@linkcode STORES}. */
export type Store = typeof STORES[number];

/** The `values.yaml` of a store, with the second file that the page names. */
export function valuesOf(store: Store): string[] {
  return ["values.yaml", ...store === "file" ? [] : [`${store}.yaml`]].map((file) =>
    RECIPES + file
  );
}

/** What `helm template` makes of a chart and files of values, in the namespace `hub`. */
export async function render(chart: string, files: readonly string[]): Promise<string> {
  const values = files.flatMap((file) => ["--values", file]);
  const cluster = ["--namespace", "hub", "--kube-version", "1.36.4"];
  const command = [await serverBinary("helm"), "template", "it", chart, ...cluster, ...values];
  await using home = await tempDir();
  return await mustRun(command, { env: { HOME: home.path }, timeoutMs: 90_000 });
}

/** The values of a store as one, by Helm's own rules. */
export async function mergedValues(store: Store): Promise<string> {
  await using chart = await tempDir();
  const files = {
    "Chart.yaml": "apiVersion: v2\nname: values\nversion: 0.0.1\n",
    "values.yaml": "",
    "templates/values.json": "{{ toJson .Values }}",
  };
  await Deno.mkdir(`${chart.path}/templates`);
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${chart.path}/${name}`, text);
  }
  const rendered = await render(chart.path, valuesOf(store));
  return rendered.slice(rendered.indexOf("{"));
}
