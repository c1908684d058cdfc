import { rememberSecret } from "./assert_no_secret.ts";

/** Where a device code stands. */
export type DeviceState = "pending" | "approved" | "denied" | "expired" | "used";

/** A device code, with what later requests are checked against. */
export interface DeviceGrant {
  state: DeviceState;
  readonly scope: string;
  readonly challenge: string | undefined;
}

interface Token {
  readonly family: number;
  readonly scope: string;
  readonly kind: "access" | "refresh";
  isUsed: boolean;
}

/** Codes and tokens of a scripted provider: issue, rotate, detect reuse, revoke. */
export class ScriptedGrants {
  readonly #devices = new Map<string, DeviceGrant>();
  readonly #tokens = new Map<string, Token>();
  #families = 0;
  #serial = 0;

  /** Registers a device code. */
  addDevice(scope: string, challenge: string | undefined, state: DeviceState): string {
    const code = this.#token("device");
    this.#devices.set(code, { state, scope, challenge });
    return code;
  }

  device(code: string): DeviceGrant | undefined {
    return this.#devices.get(code);
  }

  /** Moves all pending device codes to `state`. */
  settle(state: DeviceState): void {
    for (const device of this.#devices.values()) {
      if (device.state === "pending") device.state = state;
    }
  }

  /** Issues an access and a refresh token, of a new family unless one is named. */
  issue(scope: string, family = ++this.#families): { access: string; refresh: string } {
    const [access, refresh] = [this.#token("access"), this.#token("refresh")];
    this.#tokens.set(access, { family, scope, kind: "access", isUsed: false });
    this.#tokens.set(refresh, { family, scope, kind: "refresh", isUsed: false });
    return { access, refresh };
  }

  /** Uses a refresh token up; `undefined` when it is unknown, or used before, which ends its family. */
  rotate(token: string): { access: string; refresh: string; scope: string } | undefined {
    const found = this.#tokens.get(token);
    if (found?.kind !== "refresh") return undefined;
    if (found.isUsed) return this.revoke(token);
    found.isUsed = true;
    return { ...this.issue(found.scope, found.family), scope: found.scope };
  }

  /** Ends the family of a token. */
  revoke(token: string): undefined {
    const family = this.#tokens.get(token)?.family;
    for (const [other, of] of this.#tokens) if (of.family === family) this.#tokens.delete(other);
  }

  isActive(token: string): boolean {
    return this.#tokens.get(token)?.isUsed === false;
  }

  #token(kind: string): string {
    // In capitals: by chance the name of a temp folder has eight of the same digits.
    const random = crypto.randomUUID().replaceAll("-", "").toUpperCase();
    const token = `${kind[0]}${++this.#serial}x${random}`;
    rememberSecret(token);
    return token;
  }
}
