import { succeeds } from "../../support/deno_process.ts";
import { type KeyringSession, startKeyringSession } from "../../support/servers/keyring_session.ts";

/** A desktop session with an unlocked keyring, or `undefined` where gnome-keyring is not installed. */
export async function startBenchKeyring(): Promise<KeyringSession | undefined> {
  if (!await succeeds(["gnome-keyring-daemon", "--version"])) return undefined;
  return await startKeyringSession();
}
