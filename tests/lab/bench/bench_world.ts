import { credentialKey, FileCredentialsBackend, type OidcCredentials } from "@validmind/auth";
import { ALL, denoCommand } from "../../support/deno_process.ts";

/** Who is signed in, in every part of the bench. */
export const ISSUER = "https://login.example.com";
/** Its client. */
export const CLIENT_ID = "bench";
/** The key of its credential. */
export const KEY = credentialKey(ISSUER, CLIENT_ID);

/** An entry of about 3 KB, as with a JWT access token of a large organisation. */
export function benchEntry(): OidcCredentials {
  return {
    issuer: ISSUER,
    client_id: CLIENT_ID,
    access_token: "a".repeat(1400),
    refresh_token: "r".repeat(200),
    id_token: `e30.${"i".repeat(1000)}.s`,
    expires_at: "2099-01-01T00:00:00.000Z",
    scope: "openid profile email offline_access",
  };
}

/** A home folder whose credentials file holds one valid token. */
export async function benchHome(folder: string): Promise<string> {
  const home = `${folder}/home`;
  const path = `${home}/.validmind/credentials.json`;
  await new FileCredentialsBackend({ path }).put(KEY, benchEntry());
  return home;
}

/** The command that runs one of the programs beside this file by Deno. */
export function denoProgram(name: string, ...args: string[]): [string, ...string[]] {
  const flags = [...ALL, "--no-lock"]; // peers are no dependencies
  return denoCommand({ file: `${import.meta.dirname}/programs/${name}`, flags, args });
}
