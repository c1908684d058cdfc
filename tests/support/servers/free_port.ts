/** Below the ports that the system gives to outgoing connections. */
const [FIRST, LAST] = [20_000, 32_000];

/**
 * A port of this machine that nobody listens on.
 *
 * A server that is started again on its port must find it free: a port that the system picked could
 * have become that of a client meanwhile, even of one that tries to reach the server.
 */
export function freePort(): number {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
