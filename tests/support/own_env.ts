/** The variables that this module gives a meaning to. */
const MEANT = /^(?:VM|VAULT|BAO|ACTIONS_ID_TOKEN)_|^XDG_CONFIG_HOME$|^CI$/;

const isWindows = Deno.build.os === "windows";

/**
 * Stands in for `Deno.env` in one test file until it is disposed.
 *
 * Test files that run side by side share the variables of the process, and have globals of their
 * own. So a test changes the global and leaves the process alone. Of the variables that this
 * module gives a meaning to, a test sees those that it sets; the others are those of the process.
 * Each call needs the permission that it needs of the real `Deno.env`. Child processes and Workers
 * do not see what is set here.
 */
export class OwnEnv implements Deno.Env, Disposable {
  readonly #outer = Deno.env;
  readonly #values: Map<string, string | undefined>;

  constructor(variables: Readonly<Record<string, string>> = {}) {
    this.#values = new Map(Object.entries(variables));
    const { HOME } = variables;
    // As in a child of `deno_process.ts`.
    if (isWindows && HOME !== undefined) {
      this.#values = new Map([["USERPROFILE", HOME], ...this.#values]);
    }
    replaceEnv(this);
  }

  get(name: string): string | undefined {
    const outer = this.#outer.get(name); // throws where the variable may not be read
    return this.#values.has(name) || MEANT.test(name) ? this.#values.get(name) : outer;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: string): void {
    this.#outer.has(name);
    this.#values.set(name, value);
  }

  delete(name: string): void {
    this.#outer.has(name);
    this.#values.set(name, undefined);
  }

  toObject(): Record<string, string> {
    const names = [...Object.keys(this.#outer.toObject()), ...this.#values.keys()];
    const visible = names.flatMap((name) => {
      const value = this.get(name);
      return value === undefined ? [] : [[name, value]];
    });
    return Object.fromEntries(visible);
  }

  [Symbol.dispose](): void {
    replaceEnv(this.#outer);
  }
}

function replaceEnv(env: Deno.Env): void {
  Object.assign(Deno, { env });
}

/** Runs `fn` with an {@linkcode OwnEnv}. */
export async function withEnv<T>(
  variables: Readonly<Record<string, string>>,
  fn: () => T | Promise<T>,
): Promise<T> {
  using _ = new OwnEnv(variables);
  return await fn();
}

/** Sets variables, which the end of an {@linkcode OwnEnv} undoes. */
export function setVariables(variables: Record<string, string>): void {
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
}
