/** What an example of the documentation sets ends with it: those that follow run as in a new process. */
import { setDefaultBackend } from "../../backends/resolve_credentials_backend.ts";
import { setActiveSession } from "../../client/signed_in/session.ts";
import { withEnv } from "./own_env.ts";

/** Registers an example as a test. */
export function testExample(name: string, run: () => Promise<void>): void {
  Deno.test(name, async () => {
    try {
      await withEnv(Deno.env.toObject(), run);
    } finally {
      setDefaultBackend(undefined);
      setActiveSession(undefined);
    }
  });
}
