// Makes one call to a file backend, and says when it has returned.
import { FileCredentialsBackend, migrateCredentials } from "@validmind/auth";
import { type PowerCall, powerPaths } from "./cut_power.ts";
import { numberedEntry } from "./entries.ts";
import { ACKNOWLEDGED } from "./record_effects.ts";

const [call, folder] = Deno.args as [PowerCall, string];
const { first, second } = powerPaths(folder);
const backend = new FileCredentialsBackend({ path: first });
const put = () => backend.put("key|1", numberedEntry(9));
const migrate = () => migrateCredentials(backend, new FileCredentialsBackend({ path: second }));
const CALLS: Record<PowerCall, () => Promise<unknown>> = {
  "put": put,
  "first put": put,
  "put under the lock": () => backend.withLock("key|1", put),
  "delete": () => backend.delete("key|1"),
  "deleteAll": () => backend.deleteAll(),
  "migrate": migrate,
};
await CALLS[call]();
Deno.stdout.writeSync(new TextEncoder().encode(ACKNOWLEDGED));
