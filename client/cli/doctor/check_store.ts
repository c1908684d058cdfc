import { untilAborted } from "../../../backends/common/promises.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { quoteArgument } from "../../../backends/common/platform.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { backendNeeds } from "../../permissions/preflight.ts";
import type { ChosenBackend } from "../choose_backend.ts";
import { fail, failedBy, type Finding, ok, skipped, warning } from "./finding.ts";

const PROBE_TIMEOUT_MS = 30_000;
const FOR_OTHERS = 0o077;
const WRITE_FOR_OTHERS = 0o022;
const STICKY = 0o1000;

export function checkBackend({ backend, name, why }: ChosenBackend): Finding[] {
  const findings = [ok("backend", `${name}, since ${why}: ${describeBackend(backend)}`)];
  if (backend.persistent === false) {
    findings.push(warning(
      "backend",
      "it keeps tokens only while a process runs",
      "People sign in again in each process. Choose another backend to avoid that.",
    ));
  }
  if (backend.withLock === undefined) {
    findings.push(warning(
      "backend",
      "it has no lock, so two processes may refresh one token at once",
      "Give it withLock(), or run one process at a time.",
    ));
  }
  if (backend.requiredPermissions === undefined) {
    findings.push(warning(
      "backend",
      "it does not say which permissions it needs",
      "Give it requiredPermissions(), or read its documentation.",
    ));
  }
  return findings;
}

/** Checks that other users of this computer can neither read nor replace the backend's files. */
export function checkFileModes(backend: OidcCredentialsBackend): Finding[] {
  const check = "file modes";
  if (Deno.build.os === "windows") {
    return [skipped(check, "Windows has none; the access list of the profile folder applies")];
  }
  const paths = new Set(
    backendNeeds(backend).filter((need) => need.name === "read" || need.name === "write")
      .map(({ path }) => path).filter((path) => typeof path === "string"),
  );
  if (paths.size === 0) return [];
  const found = [...paths].map((path) => checkMode(check, path)).filter((one) => one !== undefined);
  if (found.length === 0) return [ok(check, "there is no file yet")];
  const findings = found.flat();
  return findings.length > 0 ? findings : [ok(check, "closed to others")];
}

/** `undefined` where there is no such file. */
function checkMode(check: string, path: string): Finding[] | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? undefined : [failedBy(check, error)];
  }
  const mode = info.mode ?? 0;
  const shown = (mode & 0o7777).toString(8).padStart(4, "0");
  if (info.isFile && (mode & FOR_OTHERS) !== 0) {
    const message = `others can reach the tokens in ${path} (${shown})`;
    return [fail(check, message, `Close it: chmod 600 ${quoteArgument(path)}`)];
  }
  if (!info.isDirectory) return [];
  if ((mode & WRITE_FOR_OTHERS) !== 0 && (mode & STICKY) === 0) {
    const message = `others can replace files in ${path} (${shown})`;
    return [fail(check, message, `Close it: chmod 700 ${quoteArgument(path)}`)];
  }
  if ((mode & FOR_OTHERS) === 0 || !path.endsWith("/.validmind")) return [];
  return [
    warning(
      check,
      `others can look into ${path} (${shown})`,
      `Close it: chmod 700 ${quoteArgument(path)}`,
    ),
  ];
}

/** Checks file modes, and the store by a test entry. */
export async function checkStore(
  backend: OidcCredentialsBackend,
  isPermitted: boolean,
): Promise<Finding[]> {
  if (!isPermitted) return [skipped("store", "permissions are missing")];
  const modes = checkFileModes(backend);
  const areModesGood = modes.every(({ result }) => result === "ok" || result === "skipped");
  return [...modes, await probeStore(backend, areModesGood)];
}

/**
 * Writes, reads and removes a test entry under its own key. Skipped if file modes are wrong: a write
 * would correct them, and doctor changes nothing.
 */
export async function probeStore(
  backend: OidcCredentialsBackend,
  areModesGood: boolean,
): Promise<Finding> {
  const check = "store";
  if (!areModesGood) return skipped(check, "a test entry would change the file modes above");
  const timeout = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  try {
    await untilAborted(new CredentialStore(backend, "").probe(), timeout);
    return ok(check, "a test entry was written, read and removed");
  } catch (error) {
    if (!timeout.aborted) return failedBy(check, error);
    const message = `it did not answer within ${PROBE_TIMEOUT_MS / 1000} s`;
    return fail(check, message, "Make sure that the store runs, is unlocked and can be reached.");
  }
}
