import { type KeyringSession, startKeyringSession } from "../support/servers/keyring_session.ts";

/** A desktop session with an unlocked keyring, or `undefined` where gnome-keyring is not installed. */
export async function startBenchKeyring(): Promise<KeyringSession | undefined> {
  try {
    await new Deno.Command("gnome-keyring-daemon", { args: ["--version"] }).output();
  } catch {
    return undefined;
  }
  return await startKeyringSession();
}
