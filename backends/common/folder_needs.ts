import type { BackendPermission } from "../oidc_credentials_backend.ts";
import { HOME_VARIABLE } from "./environment.ts";

/** What storing takes in a folder, with the home folder's variable where the path comes from it. */
export function folderNeeds(folder: string, isBelowHome: boolean): BackendPermission[] {
  return [
    { name: "read", path: folder, need: "sign_in" },
    { name: "write", path: folder, need: "sign_in" },
    ...isBelowHome ? [{ name: "env", variable: HOME_VARIABLE } as const] : [],
  ];
}
