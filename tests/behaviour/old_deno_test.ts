import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession, FileCredentialsBackend, init } from "../../mod.ts";
import { isDenoSupported } from "../../backends/common/platform.ts";
import { main } from "../../client/cli/main.ts";
import { MemoryOutput } from "../client/cli/cli_world.ts";
import { entry } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const NEEDS =
  `it needs Deno 2.7.1 or newer, and this is Deno ${Deno.version.deno}. Run: deno upgrade`;

/** Runs `fn` in a Deno without the youngest function that this module needs. */
async function withOldDeno(fn: () => Promise<void>): Promise<void> {
  const { prototype } = Deno.FsFile;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, "tryLockSync")!;
  delete (prototype as Partial<Deno.FsFile>).tryLockSync;
  try {
    await fn();
  } finally {
    Object.defineProperty(prototype, "tryLockSync", descriptor);
  }
}

Deno.test("each way into the module names the Deno that it needs, and the one that runs", async () => {
  assertEquals(isDenoSupported(), true);
  await withOldDeno(async () => {
    const identity = { issuer: "https://login.example.com", clientId: "old" };
    await rejectsWith("runtime_unsupported", () => createSession(identity), NEEDS);
    await rejectsWith("runtime_unsupported", () => init({ ...identity, model: "m" }), NEEDS);
    const backend = new FileCredentialsBackend({ path: "/nonexistent/c.json" });
    await rejectsWith("runtime_unsupported", () => backend.put("key", entry()), NEEDS);
  });
});

Deno.test("the command line names it, too, and doctor has a line for it", async () => {
  await withOldDeno(async () => {
    const token = new MemoryOutput();
    await main(["token", "--issuer", "https://login.example.com", "--client-id", "old"], token);
    assertStringIncludes(token.noted, NEEDS);
    const doctor = new MemoryOutput();
    assertEquals(await main(["doctor"], doctor), 1);
    assertStringIncludes(doctor.printed, NEEDS);
    const help = new MemoryOutput();
    assertEquals(await main(["help"], help), 0);
  });
});
