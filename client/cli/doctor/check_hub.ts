import { printable } from "../../../backends/common/printable.ts";
import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { backendNeeds } from "../../permissions/preflight.ts";
import type { ChosenBackend } from "../choose_backend.ts";
import { type Finding, ok, warning } from "./finding.ts";

/** The variable by which a JupyterHub tells whose server this is. */
export const HUB_VARIABLE = "JUPYTERHUB_USER";

/** On a JupyterHub: whether the store's place is that of one person. Nothing elsewhere. */
export function checkHub({ backend }: ChosenBackend): Finding[] {
  const user = readEnvIfGranted(HUB_VARIABLE);
  if (user === undefined || backend.persistent === false) return [];
  const check = "hub: place";
  const home = readEnvIfGranted("HOME");
  const paths = backendNeeds(backend).flatMap((need) =>
    need.name === "write" && typeof need.path === "string" ? [need.path] : []
  );
  const place = paths[0] ?? describeBackend(backend);
  const shown = printable(place, 200);
  const isInHome = paths.length > 0 && home !== undefined &&
    paths.every((path) => path === home || path.startsWith(`${home.replace(/\/$/, "")}/`));
  if (isInHome) return [ok(check, `${shown} is in your home`)];
  const escaped = RegExp.escape(user);
  if (new RegExp(`(^|[^A-Za-z0-9])${escaped}([^A-Za-z0-9]|$)`).test(place)) {
    return [ok(check, `${shown} has your name in it; a policy or mode has to keep others out`)];
  }
  return [warning(
    check,
    `${shown} is the same place for everybody on this hub`,
    "Have the hub's administrators put ${JUPYTERHUB_USER} into its path.",
  )];
}
