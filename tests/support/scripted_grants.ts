import { rememberSecret } from "./assert_no_secret.ts";

/** Where a device code stands. */
export type DeviceState = "pending" | "approved" | "denied" | "expired" | "used";

/** A device code, with what later requests are checked against. */
export interface DeviceGrant {
  state: DeviceState;
  readonly scope: string;
  readonly challenge: string | undefined;
}

interface RefreshGrant {
  readonly family: number;
  readonly scope: string;
  used: boolean;
}

/** Codes and tokens of a scripted provider: issue, rotate, detect reuse, revoke. */
export class ScriptedGrants {
  readonly #devices = new Map<string, DeviceGrant>();
  readonly #access = new Map<string, number>();
  readonly #refresh = new Map<string, RefreshGrant>();
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
    const access = this.#token("access");
    const refresh = this.#token("refresh");
    this.#access.set(access, family);
    this.#refresh.set(refresh, { family, scope, used: false });
    return { access, refresh };
  }

  /** Uses a refresh token up; `undefined` when it is unknown, or used before, which ends its family. */
  rotate(token: string): { access: string; refresh: string; scope: string } | undefined {
    const found = this.#refresh.get(token);
    if (found === undefined) return undefined;
    if (found.used) {
      this.#endFamily(found.family);
      return undefined;
    }
    found.used = true;
    return { ...this.issue(found.scope, found.family), scope: found.scope };
  }

  /** Ends the family of a token. */
  revoke(token: string): void {
    const family = this.#access.get(token) ?? this.#refresh.get(token)?.family;
    if (family !== undefined) this.#endFamily(family);
  }

  isActive(token: string): boolean {
    return this.#access.has(token) || this.#refresh.get(token)?.used === false;
  }

  #endFamily(family: number): void {
    for (const [token, owner] of this.#access) {
      if (owner === family) this.#access.delete(token);
    }
    for (const [token, owner] of this.#refresh) {
      if (owner.family === family) this.#refresh.delete(token);
    }
  }

  #token(kind: string): string {
    const token = `${kind[0]}${++this.#serial}x${crypto.randomUUID().replaceAll("-", "")}`;
    rememberSecret(token);
    return token;
  }
}
