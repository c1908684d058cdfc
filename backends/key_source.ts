import { assertCredentialsBackend, checkOptions } from "./check_options.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { EncryptionKey } from "./encryption_key.ts";
import { readKeyVariable, readPassphraseVariable, weakness } from "./key_bytes.ts";
import type { BackendPermission, MaybePromise } from "./oidc_credentials_backend.ts";
import { assertPassphrase, PassphraseKey } from "./passphrase_key.ts";
import { isIterations, ITERATIONS, type SealedEntry } from "./sealed_row.ts";
import { type SealingKey, sealingKey } from "./sealing_key.ts";
import { StoredKey } from "./stored_key.ts";

/** Where keys come from. */
export interface KeySource {
  /**
   * The key to write with.
   *
   * @param beforeNew Runs before a new key is made, and may refuse.
   */
  current(beforeNew: () => Promise<void>): Promise<SealingKey>;
  /** The key of a sealed entry, if it is from here. */
  find(sealed: SealedEntry): Promise<SealingKey | undefined>;
  /** Is told whether the key that it found has opened the entry. */
  settle?(sealed: SealedEntry, isOpened: boolean): void;
}

/** A source with what it needs of Deno; `undefined` where its store does not say. */
export interface CheckedKey {
  readonly source: KeySource;
  readonly permissions: BackendPermission[] | undefined;
}

const ACTION = "create EncryptedCredentialsBackend";

/** Checks one key of the options. Reads nothing yet. */
export function checkKey(key: EncryptionKey, name: string): CheckedKey {
  if (key instanceof Uint8Array) return fixed(key, undefined, name);
  const fields = (typeof key === "object" && key !== null ? key : {}) as Record<string, unknown>;
  const kind = ["bytes", "env", "passphrase", "backend"].find((kind) =>
    Object.hasOwn(fields, kind)
  );
  if (kind === undefined) {
    throw invalid(
      `option "${name}" is no key`,
      "Give 32 bytes, or one of env, passphrase, backend.",
    );
  }
  checkOptions(ACTION, key, [kind, ...(OTHERS[kind] ?? [])]);
  if ("id" in key) checkId(key.id, name);
  if ("bytes" in key) return fixed(key.bytes, key.id, name);
  if ("env" in key) return variable(key.env, key.id, name);
  if ("passphrase" in key) return passphrase(key, name);
  assertCredentialsBackend(key.backend, name);
  return {
    source: new StoredKey(key.backend),
    permissions: key.backend.requiredPermissions?.(),
  };
}

/** What may stand beside each kind of key. */
const OTHERS: Record<string, string[]> = {
  bytes: ["id"],
  env: ["id"],
  passphrase: ["iterations", "id"],
};

/** A key that there is one of: its bytes are read at the first use. */
class FixedKey implements KeySource {
  readonly #read: () => Uint8Array<ArrayBuffer>;
  readonly #id: string | undefined;
  #key: Promise<SealingKey> | undefined;

  constructor(read: () => Uint8Array<ArrayBuffer>, id: string | undefined) {
    this.#read = read;
    this.#id = id;
  }

  async current(): Promise<SealingKey> {
    // What cannot be read yet may be later; what was read is wiped, and must not be read again.
    this.#key ??= sealingKey(this.#read(), this.#id);
    return await this.#key;
  }

  async find({ key_id, pbkdf2 }: SealedEntry): Promise<SealingKey | undefined> {
    if (pbkdf2 !== undefined || (this.#id !== undefined && this.#id !== key_id)) return undefined;
    const key = await this.current();
    return key.id === key_id ? key : undefined;
  }
}

function fixed(bytes: unknown, id: string | undefined, name: string): CheckedKey {
  if (!(bytes instanceof Uint8Array)) {
    throw invalid(`option "${name}" has no bytes`, "Give a Uint8Array of 32 random bytes.");
  }
  const reason = weakness(bytes);
  if (reason !== undefined) {
    const advice = "Give 32 random bytes: crypto.getRandomValues(new Uint8Array(32)).";
    throw invalid(`option "${name}" is no key: ${reason}`, advice);
  }
  const own = new Uint8Array(bytes); // the caller may wipe theirs
  return { source: new FixedKey(() => own, id), permissions: [] };
}

function variable(env: unknown, id: string | undefined, name: string): CheckedKey {
  checkVariable(env, name);
  return {
    source: new FixedKey(() => readKeyVariable(env), id),
    permissions: [{ name: "env", variable: env }],
  };
}

function passphrase(
  { passphrase, iterations = ITERATIONS.least, id }: Extract<
    EncryptionKey,
    { passphrase: unknown }
  >,
  name: string,
): CheckedKey {
  if (!isIterations(iterations)) {
    throw invalid(
      `option "${name}" has a wrong number of iterations`,
      `Give one from ${ITERATIONS.least} to ${ITERATIONS.most}, or leave it out.`,
    );
  }
  const permissions: BackendPermission[] = [];
  let read: () => MaybePromise<string>;
  if (typeof passphrase === "function") read = passphrase;
  else if (typeof passphrase === "object" && passphrase !== null) {
    checkOptions(ACTION, passphrase, ["env"]);
    const { env } = passphrase;
    checkVariable(env, name);
    permissions.push({ name: "env", variable: env });
    read = () => readPassphraseVariable(env);
  } else {
    assertPassphrase(passphrase);
    read = () => passphrase;
  }
  return { source: new PassphraseKey(read, iterations, id), permissions };
}

function checkVariable(env: unknown, name: string): asserts env is string {
  if (typeof env === "string" && /^[A-Za-z_]\w*$/.test(env)) return;
  throw invalid(`option "${name}" does not name a variable`, `Give { "env": "MY_KEY" }.`);
}

function checkId(id: unknown, name: string): void {
  if (id === undefined || (typeof id === "string" && /^[\w.:-]{1,64}$/.test(id))) return;
  const advice = "Give up to 64 letters, digits and ._:-, such as 2026-01, or leave it out.";
  throw invalid(`option "${name}" has a wrong id`, advice);
}

function invalid(reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", `Cannot ${ACTION}: ${reason}. ${advice}`);
}
