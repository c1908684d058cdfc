import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { ALL, backendUrl, startDeno } from "../support/deno_process.ts";
import { small } from "../support/entries.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";

const { folder } = sandbox();

/** A script with a backend of the file. */
function script(path: string, steps: string): string {
  return `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    const put = (key, client_id, fill) =>
      backend.put(key, { issuer: "i", client_id, access_token: "t", fill });
    ${steps}
  `;
}

Deno.test("a reader never sees half a file of a writer, nor does one that is killed leave half", async () => {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  await backend.put("mine", small("mine"));
  const write = `
    const fill = "f".repeat(300_000);
    console.log("begun");
    for (let i = 1;; i++) await put("theirs", String(i), fill);`;
  for (const reads of [60, 7]) {
    await using child = startDeno({ code: script(path, write), flags: ALL });
    await child.line();
    let last = 0;
    for (let count = 0; count < reads || last === 0; count++) {
      const seen = Number(backend.get("theirs")?.client_id ?? 0);
      assert(count === 0 || seen >= last, "an older state came back");
      last = seen;
      await new Promise((resolve) => setTimeout(resolve));
    }
    await child.kill();
    assertEquals(backend.get("mine"), small("mine"));
    await backend.put("mine", small("mine"));
    assertEquals(namesIn(parent), ["credentials.json", "credentials.json.lock"]);
    await backend.delete("theirs");
  }
});
