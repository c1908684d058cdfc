/** Answers "ok" to everything, until standard input closes. Prints its base URL. */
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, () => new Response("ok"));

function onListen({ port }: Deno.NetAddr): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`http://127.0.0.1:${port}/\n`));
}

await Deno.stdin.readable.pipeTo(new WritableStream()).catch(() => {});
await server.shutdown();
