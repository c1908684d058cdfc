import { tempDir } from "../temp_home.ts";
import { freePort } from "./free_port.ts";
import { serverBinary } from "./servers.ts";
import { startServerProcess } from "./server_process.ts";

/**
 * Deno itself reads the token from the process, whose variables all test files share. So all servers
 * have one token.
 */
const TOKEN = "0123456789abcdef";
/** The process's, also where a test has variables of its own. */
const processEnv = Deno.env;

/** Options of {@linkcode startDenokv}. */
export interface DenokvOptions {
  /** Keeps the database. @default {a temporary folder} */
  folder?: string;
}

/** A real KV Connect server. */
export type DenokvServer = Awaited<ReturnType<typeof startDenokv>>;

/** Starts `denokv`, the KV Connect server, over a database of its own. */
export async function startDenokv(options: DenokvOptions = {}) {
  processEnv.set("DENO_KV_ACCESS_TOKEN", TOKEN);
  const binary = await serverBinary("denokv");
  const temporary = options.folder === undefined ? await tempDir() : undefined;
  const database = `${options.folder ?? temporary!.path}/kv.sqlite3`;
  const address = `127.0.0.1:${freePort()}`;
  const start = () =>
    startServerProcess({
      command: [binary, "--sqlite-path", database, "serve", "--addr", address],
      env: { DENO_KV_ACCESS_TOKEN: TOKEN, RUST_LOG: "info" },
      readyOn: "stderr",
      ready: /Listening on (http:\/\/\S+)/,
    });
  let server = await start();
  return {
    /** What `Deno.openKv` takes. */
    url: `http://${address}`,
    /** The value for `DENO_KV_ACCESS_TOKEN`. */
    accessToken: TOKEN,
    /** Ends it by SIGKILL. */
    kill: () => server.end("KILL"),
    /** Starts it again with the same address and data; ends it first if it runs. */
    async restart() {
      await server.end("TERM");
      server = await start();
    },
    async [Symbol.asyncDispose]() {
      await server.end("KILL");
      await temporary?.[Symbol.asyncDispose]();
    },
  };
}
