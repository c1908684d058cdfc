/**
 * The kit for authors of credentials backends. {@linkcode testCredentialsBackend} registers the checks
 * that every built-in backend passes, and {@linkcode wrapBackend} changes some members of a backend.
 *
 * ```ts ignore
 * import { testCredentialsBackend } from "@validmind/auth/testing";
 * import { TeamStore } from "./team_store.ts";
 *
 * testCredentialsBackend("TeamStore", () => new TeamStore({ url: "http://localhost:9000" }));
 * ```
 *
 * Run the file by `deno test`, with the permissions of the store.
 *
 * More: [a store of your own](own.md#test-it).
 *
 * @module
 */
import { needDeno } from "./common/runtime.ts";
import type { MaybePromise, OidcCredentialsBackend } from "./oidc_credentials_backend.ts";
import { CONFORMANCE_CHECKS, type ConformanceCheck } from "./testing/conformance_checks.ts";
import type { SharedStore } from "./testing/several_processes.ts";

export type { SharedStore };
export { wrapBackend } from "./common/wrap_backend.ts";

/**
 * Options of {@linkcode testCredentialsBackend}.
 *
 * @category Testing
 */
export interface TestCredentialsBackendOptions {
  /**
   * Gives a backend whose store cannot be read: corrupt, denied or out of reach. It proves that an
   * unreadable entry does not count as absent. Without this option that check is reported as ignored.
   */
  broken?: () => MaybePromise<OidcCredentialsBackend>;
  /**
   * Permissions under which a round trip must work, as `Deno.test` takes them. Without this option
   * that check is reported as ignored.
   */
  permissions?: Deno.TestDefinition["permissions"];
  /**
   * The class of a store that several processes share. Four processes change the same entries at
   * once, and one process is killed while it holds the lock. So the class needs `withLock`. Without
   * this option that check is reported as ignored. Needs `--allow-run`. The processes have every
   * permission.
   */
  processes?: SharedStore;
  /**
   * Gives the store of another person. It proves that two people's entries are kept apart. Without this
   * option that check is reported as ignored.
   */
  another?: () => MaybePromise<OidcCredentialsBackend>;
  /**
   * Whether the store holds nothing else, so that `deleteAll` can be tried. Without this option that
   * check is reported as ignored.
   *
   * @default {false}
   */
  disposable?: boolean;
  /**
   * Longest wait for a lock that has to be free, in milliseconds. With a broken lock the wait would
   * never end. The lock of a process that was killed may take six times as long.
   *
   * @default {5_000}
   */
  patienceMs?: number;
  /**
   * Skips the whole suite, for example if the store's server is not there.
   *
   * @default {false}
   */
  ignore?: boolean;
}

/**
 * Registers one `Deno.test` for each rule of the backend protocol. A test that fails says in words
 * which rule was broken, and shows no entry.
 *
 * Each check uses keys of its own and removes its entries, so the store may hold other entries.
 * Entries hold made-up tokens. A store without `withLock` passes. A line on standard error then says
 * that it is for one process at a time. Two processes that refresh at once lose the sign-in.
 *
 * Needs the permissions of the backend.
 *
 * @param name The backend's name, before each test's name.
 * @param factory Gives a handle on the store. It is called once or twice for a check. Two handles of
 * a persistent backend must lead to one store.
 * @param options Means for further checks.
 * @throws {CredentialsBackendError} `runtime_unsupported`.
 * @category Testing
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
  needDeno("register the conformance tests", "Run them with deno test.");
  for (const [rule, check, needs] of CONFORMANCE_CHECKS) {
    const isUnprovable = needs !== undefined && !options[needs];
    const lack = isUnprovable ? ` (needs the option "${needs}")` : "";
    Deno.test({
      name: `${name}: ${rule}${lack}`,
      ignore: options.ignore === true || isUnprovable,
      permissions: (needs === "permissions" ? options.permissions : undefined) ?? "inherit",
      fn: () => run(check, factory, needs === "broken" ? options.broken : undefined, options),
    });
  }
}

async function run(
  check: ConformanceCheck[1],
  factory: () => MaybePromise<OidcCredentialsBackend>,
  unreadable: typeof factory | undefined,
  options: TestCredentialsBackendOptions,
) {
  const { patienceMs = 5_000, another } = options;
  const opened: OidcCredentialsBackend[] = [];
  const keys: string[] = [];
  const openBy = async (make: typeof factory) => {
    const backend = await make();
    opened.push(backend);
    return backend;
  };
  const id = crypto.randomUUID();
  const key = (suffix: string = crypto.randomUUID()) => {
    const name = `conformance|${id}${suffix}`;
    keys.push(name);
    return name;
  };
  try {
    const backend = await openBy(unreadable ?? factory);
    const open = async () => backend.persistent === true ? await openBy(factory) : backend;
    await check({
      ...options,
      backend,
      name: key(),
      open,
      key,
      patienceMs,
      another: another && await openBy(another),
    });
  } finally {
    for (const key of unreadable ? [] : keys) await opened[0]?.delete(key);
    for (const backend of opened) await backend.close?.();
  }
}
