import { KEYCLOAK_VERSION } from "./server_binary.ts";
import { adminPasswordFile, DATABASE, startKeycloakIn } from "./keycloak_server.ts";

const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:tar.gz`;
const SHA256 = "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47";
const PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/** Parts of Keycloak that no test uses, and that take time at its start. */
const LEFT_OUT = ["admin", "account", "kerberos", "ciba"];

/**
 * Gets Keycloak from Maven Central and makes it ready to start quickly: its code is put together for
 * its one database, and that has its tables and its administrator.
 *
 * @param run Runs a program to its end, and throws where that fails.
 * @returns The folder.
 */
export async function buildKeycloak(
  folder: string,
  run: (program: string, args: string[], options?: Deno.CommandOptions) => Promise<void>,
): Promise<string> {
  // A repository of its own: the person's would keep the archive for good.
  const repository = `-Dmaven.repo.local=${folder}/repository`;
  const what = [`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`];
  await run("mvn", ["--batch-mode", "--quiet", repository, PLUGIN, ...what]);
  const archive = `${folder}/keycloak-quarkus-dist-${KEYCLOAK_VERSION}.tar.gz`;
  await checkSha256(archive);
  await run("tar", ["-xzf", archive, "-C", folder]);
  const built = `${folder}/keycloak-${KEYCLOAK_VERSION}`;
  const options = ["build", "--db=dev-file", `--features-disabled=${LEFT_OUT}`];
  await run(`${built}/bin/kc.sh`, options);
  await makeDatabase(built);
  return built;
}

async function checkSha256(path: string): Promise<void> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  const sha256 = new Uint8Array(digest).toHex();
  if (sha256 !== SHA256) throw new Error(`${path} has the SHA-256 ${sha256}, not ${SHA256}`);
}

/** Starts Keycloak once, and keeps the database that it made. */
async function makeDatabase(built: string): Promise<void> {
  const password = crypto.randomUUID();
  await Deno.writeTextFile(adminPasswordFile(built), password, { mode: 0o600 });
  const home = await Deno.makeTempDir({ prefix: "validmind-auth-keycloak-" });
  try {
    const { server } = await startKeycloakIn(home, built, {
      KC_BOOTSTRAP_ADMIN_USERNAME: "admin",
      KC_BOOTSTRAP_ADMIN_PASSWORD: password,
    });
    await server.end("TERM");
    await Deno.copyFile(`${home}/${DATABASE}`, `${built}/database`);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
