import { printable } from "../../../backends/common/printable.ts";
import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { quoteArgument, readEnvIfGranted } from "../../../backends/common/platform.ts";
import { backendNeeds } from "../../permissions/preflight.ts";
import type { ChosenBackend } from "../choose_backend.ts";
import { findKernels } from "../jupyter/find_kernels.ts";
import { hubServer } from "../jupyter/hub_server.ts";
import { type Finding, ok, skipped, warning } from "./finding.ts";

/** Variables that are read in a hub's terminal alone. */
export const HUB_VARIABLES = ["JUPYTERHUB_USER", "JUPYTER_PATH"] as const;

/** Variables of this module, and of what it uses. */
const OWN = /^(VM_|VAULT_ADDR$|VAULT_NAMESPACE$|DENO_CERT$|DENO_TLS_CA_STORE$|JSR_URL$)/;
const FOR_OTHERS = 0o077;

/**
 * In a terminal or notebook of a JupyterHub: the variables that the hub has set, whether the store is
 * this person's alone, and the kernels. Nothing elsewhere.
 */
export function checkHub(chosen: ChosenBackend | undefined): Finding[] {
  const user = readEnvIfGranted("JUPYTERHUB_USER");
  if (user === undefined) return [];
  return [
    ...checkVariables(user),
    ...(chosen === undefined ? [] : checkOwnPlace(user, chosen)),
    ...checkHome(),
    ...checkKernels(),
    ok(
      "hub: yours",
      "options of init() and variables that you set win over the hub's, for you alone. The hub's " +
        "own are in c.Spawner.environment of jupyterhub_config.py, which its administrators change",
    ),
  ];
}

function checkVariables(user: string): Finding[] {
  const check = "hub";
  const who = `JupyterHub, as ${printable(user, 60)}`;
  const server = hubServer();
  if (server === undefined) {
    const message = `${who}: which variables the hub has set cannot be read here`;
    return [skipped(check, `${message} (that takes Linux and -A)`)];
  }
  const names = Object.keys(server.env).filter((name) => OWN.test(name)).sort();
  const changed = names.filter((name) => Deno.env.get(name) !== server.env[name]);
  const own = Object.keys(Deno.env.toObject())
    .filter((name) => OWN.test(name) && !(name in server.env)).sort();
  const findings = [
    ok(check, `${who}; the hub has set ${names.length === 0 ? "no variable" : names.join(", ")}`),
  ];
  if (changed.length > 0) {
    findings.push(warning(
      check,
      `set otherwise than by the hub: ${changed.join(", ")}; notebooks do not see that`,
      "Look into your shell's profile, or open another terminal.",
    ));
  }
  if (own.length > 0) {
    findings.push(warning(
      check,
      `set in this shell alone: ${own.join(", ")}; notebooks do not see that`,
      "Set them in a kernel: validmind-auth jupyter install --env NAME=VALUE",
    ));
  }
  return findings;
}

/** Whether the store's place is that of one person. */
function checkOwnPlace(user: string, { backend }: ChosenBackend): Finding[] {
  const check = "hub: place";
  const home = readEnvIfGranted("HOME");
  const paths = backendNeeds(backend).flatMap((need) =>
    need.name === "write" && typeof need.path === "string" ? [need.path] : []
  );
  const place = paths[0] ?? describeBackend(backend);
  const isInHome = paths.length > 0 && home !== undefined &&
    paths.every((path) => path === home || path.startsWith(`${home.replace(/\/$/, "")}/`));
  const escaped = RegExp.escape(user);
  const hasName = new RegExp(`(^|[^A-Za-z0-9])${escaped}([^A-Za-z0-9]|$)`).test(place);
  const shown = printable(place, 200);
  if (isInHome) return [ok(check, `${shown} is in your home`)];
  if (hasName) {
    return [ok(check, `${shown} has your name in it; a policy or mode has to keep others out`)];
  }
  if (backend.persistent === false) return [];
  return [warning(
    check,
    `${shown} is the same place for everybody on this hub`,
    "Have the hub's administrators put ${JUPYTERHUB_USER} into its path.",
  )];
}

/** Notebooks and their outputs are as open as the home is. */
function checkHome(): Finding[] {
  const home = readEnvIfGranted("HOME");
  if (home === undefined) return [];
  try {
    const { mode } = Deno.statSync(home);
    if (mode === null || (mode & FOR_OTHERS) === 0) return [];
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    return [warning(
      "hub: home",
      `others can look into ${home} (${shown}), where notebooks keep their outputs`,
      `Close it: chmod 700 ${quoteArgument(home)}`,
    )];
  } catch {
    return [skipped("hub: home", "the home may not be looked at")];
  }
}

function checkKernels(): Finding[] {
  const check = "hub: kernel";
  const { kernels, isComplete } = findKernels(hubServer()?.prefix);
  if (kernels.length === 0) {
    if (!isComplete) return [skipped(check, "the folders of kernels may not be read")];
    return [warning(check, "no Deno kernel is installed", "Run validmind-auth jupyter install")];
  }
  return kernels.map(({ path, displayName, isOwn, isNarrow, missing, variables }) => {
    const kind = isNarrow ? "narrow" : isOwn ? "by this program" : "by deno jupyter --install";
    const name = `"${printable(displayName, 60)}" (${kind}): ${printable(path, 200)}`;
    if (missing !== undefined) {
      const advice = "Run validmind-auth jupyter install --replace";
      return warning(check, `${name}: ${printable(missing, 200)} is not there`, advice);
    }
    const sets = variables.filter((variable) => OWN.test(variable));
    return ok(check, sets.length === 0 ? name : `${name}, with its own ${sets.join(", ")}`);
  });
}
