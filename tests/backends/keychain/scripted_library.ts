import type { KeychainLibrary } from "../../../backends/keychain/client.ts";
import { replace } from "../../support/replace.ts";

/** A library of a keychain in memory, which does what it is told and notes what it was asked. */
export class ScriptedLibrary {
  /** Values by service and account. */
  readonly values = new Map<string, Map<string, string>>();
  readonly calls: string[] = [];
  /** What each answer waits for. */
  until: Promise<void> | undefined;
  /** What the next calls fail with. */
  failures: Error[] = [];

  get library(): KeychainLibrary {
    // deno-lint-ignore no-this-alias
    const scripted = this;
    class AsyncEntry {
      constructor(readonly service: string, readonly account: string, options: unknown) {
        scripted.calls.push(`connect ${service} ${account} ${JSON.stringify(options)}`);
      }
      getPassword() {
        const value = () => scripted.of(this.service).get(this.account) ?? null;
        return scripted.answer("get", value);
      }
      setPassword(value: string) {
        return scripted.answer(
          "set",
          () => void scripted.of(this.service).set(this.account, value),
        );
      }
      deleteCredential() {
        return scripted.answer("delete", () => scripted.of(this.service).delete(this.account));
      }
    }
    const findCredentialsAsync = (service: string) =>
      scripted.answer(
        `find ${service}`,
        () => [...scripted.of(service)].map(([account, password]) => ({ account, password })),
      );
    return { AsyncEntry, findCredentialsAsync } as unknown as KeychainLibrary;
  }

  of(service: string): Map<string, string> {
    const values = this.values.get(service) ?? new Map<string, string>();
    this.values.set(service, values);
    return values;
  }

  async answer<T>(call: string, run: () => T): Promise<T> {
    this.calls.push(call);
    await this.until;
    const failure = call.endsWith(" (none)") ? undefined : this.failures.shift();
    if (failure === undefined) return run();
    throw failure;
  }

  /** Has every keychain that is opened in this process take this library, until it is disposed of. */
  load(): Disposable {
    const load = (module: object) => void Object.assign(module, { exports: this.library });
    // deno-lint-ignore no-process-global -- by which the module loads it
    return replace(process, "dlopen", load);
  }
}
