/**
 * The conformance suite for credentials backends: the same checks that every built-in backend
 * passes, for an adapter of your own.
 *
 * ```ts ignore
 * import { testCredentialsBackend } from "@validmind/auth/testing";
 * import { TeamStore } from "./team_store.ts";
 *
 * testCredentialsBackend("TeamStore", () => new TeamStore({ url: "http://localhost:9000" }));
 * ```
 *
 * @module
 */

import { CONFORMANCE_CHECKS, type ConformanceCheck } from "./testing/conformance_checks.ts";
import type { MaybePromise, OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/** Options of {@linkcode testCredentialsBackend}. */
export interface TestCredentialsBackendOptions {
  /**
   * Gives a backend whose store cannot be read (corrupt, denied, out of reach), to prove that
   * unreadable is not taken for absent. Without it that check is reported as ignored.
   */
  broken?: () => MaybePromise<OidcCredentialsBackend>;
  /**
   * Permissions under which a round trip must work, as `Deno.test` takes them. Without it that
   * check is reported as ignored.
   */
  permissions?: Deno.TestDefinition["permissions"];
  /** Runs after each check with all backends of the check: for the remains that `close` leaves. */
  teardown?: (backends: readonly OidcCredentialsBackend[]) => MaybePromise<void>;
  /**
   * Longest wait for a lock that has to be free, in milliseconds. A broken lock shows by waiting for
   * ever.
   *
   * @default 5_000
   */
  patienceMs?: number;
  /**
   * Skips the whole suite, for instance where the store's server is not there.
   *
   * @default false
   */
  ignore?: boolean;
}

/**
 * Registers one `Deno.test` for each rule of the backend protocol. A test that fails says in words
 * which rule was broken, and shows no entry.
 *
 * Each check uses keys of its own and removes its entries, so the store may hold other entries.
 * Entries hold made-up tokens.
 *
 * Needs the permissions of the backend.
 *
 * @param name The backend's name, before each test's name.
 * @param factory Gives a handle on the store. Called once or twice for a check: two handles of a
 * persistent backend must lead to one store.
 * @param options Means for further checks.
 *
 * @example
 * ```ts ignore
 * import { testCredentialsBackend } from "@validmind/auth/testing";
 * import { MemoryCredentialsBackend } from "@validmind/auth";
 *
 * testCredentialsBackend("memory", () => new MemoryCredentialsBackend(), { permissions: "none" });
 * ```
 */
export function testCredentialsBackend(
  name: string,
  factory: () => MaybePromise<OidcCredentialsBackend>,
  options: TestCredentialsBackendOptions = {},
): void {
  for (const check of CONFORMANCE_CHECKS) {
    Deno.test({
      name: `${name}: ${check.name}`,
      ignore: options.ignore === true || isUnprovable(check, options),
      ...(check.needs === "permissions" && options.permissions !== undefined &&
        { permissions: options.permissions }),
      fn: () => run(check, factory, options),
    });
  }
}

function isUnprovable(check: ConformanceCheck, options: TestCredentialsBackendOptions): boolean {
  return check.needs !== undefined && options[check.needs] === undefined;
}

async function run(
  check: ConformanceCheck,
  factory: () => MaybePromise<OidcCredentialsBackend>,
  { broken, teardown, patienceMs = 5_000 }: TestCredentialsBackendOptions,
): Promise<void> {
  const opened: OidcCredentialsBackend[] = [];
  const keys: string[] = [];
  const open = async (make: () => MaybePromise<OidcCredentialsBackend>) => {
    const backend = await make();
    opened.push(backend);
    return backend;
  };
  try {
    await check.run({
      patienceMs,
      open: () => open(factory),
      openBroken: () => open(broken ?? factory),
      key: (suffix = "") => {
        const key = `conformance|${crypto.randomUUID()}${suffix}`;
        keys.push(key);
        return key;
      },
    });
  } finally {
    if (check.needs !== "broken") await removeAll(opened[0], keys);
    for (const backend of opened) await backend.close?.();
    await teardown?.(opened);
  }
}

async function removeAll(
  backend: OidcCredentialsBackend | undefined,
  keys: readonly string[],
): Promise<void> {
  for (const key of keys) await backend?.delete(key);
}
