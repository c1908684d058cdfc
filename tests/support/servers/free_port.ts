/** Below the ports that the system gives to outgoing connections. */
const [FIRST, LAST] = [20_000, 32_000];

let next = FIRST + Math.floor(Math.random() * (LAST - FIRST));

/**
 * A port of this machine that nobody listens on, and no other call of this test file's has given.
 *
 * A server that is started again on its port must find it free: a port that the system picked could
 * have become that of a client meanwhile, even of one that tries to reach the server.
 */
export function freePort(): number {
  for (;;) {
    const port = next;
    next = port < LAST ? port + 1 : FIRST;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
