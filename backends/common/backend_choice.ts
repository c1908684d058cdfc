import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { HOME_VARIABLE, parseFlag, readEnvIfGranted } from "./environment.ts";

/** The variables that choose the backend, in the order in which they are read. */
export const BACKEND_VARIABLES = {
  /** Memory, whatever else is set. */
  noPersist: "VM_OIDC_NO_PERSIST",
  /** The backend's name and options, for this module alone. */
  ownName: "VM_OIDC_DENO_CREDENTIALS_BACKEND",
  ownOptions: "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS",
  /** The same for the Python library as well. */
  name: "VM_OIDC_CREDENTIALS_BACKEND",
  options: "VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
} as const;

/** The choice of a backend by the environment. */
interface BackendChoice {
  /** The backend as a setting names it. Absent where a variable decides that may not be read. */
  readonly name?: string;
  /** The variable that chose. Absent for the default, the file. */
  readonly by?: string;
  /** The variable of the backend's options. Absent where the choice has none. */
  readonly options?: string;
  /** The variables that the choice needs. */
  readonly variables: readonly string[];
}

/**
 * Reads which backend the environment chooses. Loading, permissions and the command line all ask
 * here, so that they cannot differ. The options belong to the name beside them and to no other.
 *
 * @param read Gives a variable's text: `undefined` where it is not set, `null` where it may not be read.
 */
export function readBackendChoice(
  read: (variable: string) => string | undefined | null,
): BackendChoice {
  const { noPersist, ownName, ownOptions, name, options } = BACKEND_VARIABLES;
  const flag = read(noPersist);
  if (parseFlag(noPersist, flag)) {
    return { name: "memory", by: noPersist, variables: [noPersist] };
  }
  const variables: string[] = [noPersist];
  let isKnown = flag !== null;
  for (const [by, its] of [[ownName, ownOptions], [name, options]] as const) {
    const text = read(by);
    variables.push(by);
    if (text === null) isKnown = false;
    if (text === undefined) checkNoOptions(by, its, readEnvIfGranted(its));
    if (typeof text !== "string") continue;

    variables.push(its);
    const name = text.trim();
    if (name !== "") return { name, by, options: its, variables };
    checkNoOptions(by, its, read(its));
  }
  if (!isKnown) return { variables };
  return { name: "file", variables: [...variables, HOME_VARIABLE] };
}

/** Refuses options without a name: the plain file instead of the meant store would be a downgrade. */
function checkNoOptions(name: string, options: string, text: string | undefined | null) {
  if (!text?.trim()) return;
  throw new CredentialsBackendError("backend_spec_invalid", {
    action: "choose a credentials backend",
    reason: `${options} is set, and ${name} is empty or not set`,
    remedy: `Name the backend of these options in ${name}, or unset ${options}.`,
  });
}
