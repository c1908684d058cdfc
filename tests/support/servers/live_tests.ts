import { hasChromium } from "../chromium.ts";
import { hasJupyter } from "../jupyter.ts";
import { whyNoAccounts } from "../run_denied.ts";
import { hasServer, isOnPath, type ServerName } from "./servers.ts";

/** What tests against real servers need of the machine. */
export type LiveNeed = ServerName | "accounts" | "keyring" | "pass";

/** What tests look at in Chromium. */
const SEEN: readonly LiveNeed[] = ["jupyterhub", "jupyterlab"];

/** Programs of Debian's packages, by the need that they serve. */
const PROGRAMS: Partial<Record<LiveNeed, readonly string[]>> = {
  keyring: ["gnome-keyring-daemon", "dbus-daemon", "dbus-send", "secret-tool"],
  pass: ["pass", "gpg"],
};

/** Looks whether all that the tests of a file need is there, and registers them. */
export async function liveTests(...needs: LiveNeed[]) {
  const missing = (await Promise.all(needs.map(missingFor))).flat();
  const ignore = missing.length > 0;
  const reason = ` (there is no ${missing.join(", ")}: run \`deno task servers\`)`;
  const ignored = (what: string | Deno.TestDefinition) =>
    Deno.test({
      name: (typeof what === "string" ? what : what.name) + reason,
      ignore: true,
      fn() {},
    });
  return {
    /** Whether something is missing. Then each test is ignored, with the reason in its name. */
    ignore,
    /** Registers a test, as `Deno.test` does. */
    test: (ignore ? ignored : Deno.test) as typeof Deno.test,
    /**
     * Makes what the tests share. Where they are ignored it makes nothing: only they may use the
     * result.
     */
    shared: async <T>(make: () => T | Promise<T>) => ignore ? undefined as T : await make(),
    /** `Deno.test.afterAll`, for what was made. */
    afterAll(fn: () => void | Promise<void>): void {
      if (!ignore) Deno.test.afterAll(fn);
    },
  };
}

async function missingFor(need: LiveNeed): Promise<string[]> {
  if (need === "accounts") return whyNoAccounts === undefined ? [] : ["root with useradd"];
  const programs = PROGRAMS[need];
  if (programs === undefined) {
    const parts: [string, boolean][] = [[need, await hasServer(need as ServerName)]];
    if (SEEN.includes(need)) parts.push(["chromium", hasChromium], ["jupyter", hasJupyter]);
    if (need === "keycloak" || need === "spring") parts.push(["java", await isOnPath("java")]);
    return parts.flatMap(([name, isHere]) => isHere ? [] : [name]);
  }
  const found = await Promise.all(programs.map(isOnPath));
  return programs.filter((_, index) => !found[index]);
}
