import { tempDir } from "../temp_home.ts";
import { freePort } from "./free_port.ts";
import { isThere, serverBinary } from "./servers.ts";
import { type ServerProcess, startServerProcess } from "./server_process.ts";

/** The database in Keycloak's home. */
export const DATABASE = "data/h2/keycloakdb.mv.db";

/** An administrator's token lives for a minute. */
const TOKEN_MS = 30_000;
const MASTER = "realms/master/protocol/openid-connect/token";

/** What `kc.sh` gives to Java, for a server that lives for minutes and has few users. */
const JAVA_OPTIONS = [
  ...["-Xms64m", "-Xmx512m", "-XX:MaxMetaspaceSize=256m", "-XX:+ExitOnOutOfMemoryError"],
  ...["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
  ...["java.util", "java.util.concurrent", "java.security", "java.lang"].map((name) =>
    `--add-opens=java.base/${name}=ALL-UNNAMED`
  ),
  "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=" +
  "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
  "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
  ...["-Dfile.encoding=UTF-8", "-Duser.language=en", "-Djava.net.preferIPv4Stack=true"],
];

/** A real Keycloak, with no realm but its own. */
export type KeycloakServer = Awaited<ReturnType<typeof startKeycloak>>;

/** Starts Keycloak on loopback, with a database of its own. It trusts the authority in a file, too. */
export async function startKeycloak(caFile?: string) {
  const built = await serverBinary("keycloak");
  const home = await tempDir();
  const { server, port } = await startKeycloakIn(
    home.path,
    built,
    caFile === undefined ? {} : { KC_TRUSTSTORE_PATHS: caFile },
  );
  const password = await Deno.readTextFile(adminPasswordFile(built));
  return {
    port,
    admin: administrator(`http://127.0.0.1:${port}`, password),
    async [Symbol.asyncDispose]() {
      await server.end("KILL");
      await home[Symbol.asyncDispose]();
    },
  };
}

/** Where a built Keycloak keeps the password of its administrator. */
export function adminPasswordFile(built: string): string {
  return `${built}/admin-password`;
}

/**
 * Starts Keycloak in a home folder that has nothing but what it writes.
 *
 * By Java itself: a shell in between would be ended in its place.
 */
export async function startKeycloakIn(
  home: string,
  built: string,
  env: Record<string, string> = {},
): Promise<{ server: ServerProcess; port: number }> {
  for (const name of ["lib", "conf", "providers", "themes"]) {
    await Deno.symlink(`${built}/${name}`, `${home}/${name}`);
  }
  if (await isThere(`${built}/database`)) {
    await Deno.mkdir(`${home}/data/h2`, { recursive: true });
    await Deno.copyFile(`${built}/database`, `${home}/${DATABASE}`);
  }
  const port = freePort();
  const paths = [`-Dkc.home.dir=${home}`, `-Djboss.server.config.dir=${home}/conf`];
  const entry = ["-cp", `${home}/lib/quarkus-run.jar`];
  const server = await startServerProcess({
    command: [
      ...["java", ...JAVA_OPTIONS, ...paths, ...entry],
      ...["io.quarkus.bootstrap.runner.QuarkusEntryPoint", "start", "--optimized"],
      ...["--http-enabled=true", "--http-host=127.0.0.1", `--http-port=${port}`],
      ...["--hostname-strict=false", "--cache=local"],
    ],
    env,
    readyOn: "stdout",
    ready: /Listening on: (http:\S+)/,
  });
  return { server, port };
}

/**
 * Makes calls of its REST API for administrators: method, what follows `/admin/realms`, and body. They give
 * the JSON of the answer, or `undefined` where it has none, and throw where they are refused.
 */
function administrator(origin: string, password: string) {
  let token = "";
  let until = 0;
  const signIn = async () => {
    const body = new URLSearchParams({
      grant_type: "password",
      client_id: "admin-cli",
      username: "admin",
      password,
    });
    const response = await fetch(`${origin}/${MASTER}`, { method: "POST", body });
    ({ access_token: token } = await response.json());
    until = performance.now() + TOKEN_MS;
  };
  return async (method: string, path: string, body?: unknown): Promise<unknown> => {
    if (performance.now() > until) await signIn();
    const response = await fetch(`${origin}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return text === "" ? undefined : JSON.parse(text);
    throw new Error(`Cannot ${method} ${path}: Keycloak answered ${response.status} ${text}`);
  };
}
