// @ts-types="@types/oidc-provider"
import type { Adapter, AdapterPayload } from "oidc-provider";

/** The provider's records of one kind, such as `DeviceCode` or `RefreshToken`. */
type Records = Map<string, AdapterPayload>;

const TOKEN_KINDS = ["AccessToken", "RefreshToken", "DeviceCode"];

/** In-memory state of one provider, which tests can age or drop. */
export class OidcStore {
  readonly #kinds = new Map<string, Records>();

  /** The adapter that oidc-provider asks for, once per kind. */
  adapter(kind: string): Adapter {
    const records = this.records(kind);
    const findBy = (match: (record: AdapterPayload) => boolean) =>
      Promise.resolve(records.values().find(match));
    return {
      upsert: (id, payload) => Promise.resolve(void records.set(id, payload)),
      find: (id) => Promise.resolve(records.get(id)),
      findByUserCode: (userCode) => findBy((record) => record.userCode === userCode),
      findByUid: (uid) => findBy((record) => record.uid === uid),
      consume(id) {
        const record = records.get(id);
        if (record !== undefined) record.consumed = Math.floor(Date.now() / 1000);
        return Promise.resolve();
      },
      destroy: (id) => Promise.resolve(void records.delete(id)),
      revokeByGrantId: (grantId) => Promise.resolve(this.revoke(grantId)),
    };
  }

  /** All records of a kind, by id. */
  records(kind: string): Records {
    let records = this.#kinds.get(kind);
    if (records === undefined) this.#kinds.set(kind, records = new Map());
    return records;
  }

  /** Makes every record of a kind expired as of now; returns how many there were. */
  expire(kind: string): number {
    const records = this.records(kind);
    const now = Math.floor(Date.now() / 1000);
    for (const record of records.values()) record.exp = now;
    return records.size;
  }

  /** Drops all tokens of a grant, or of all grants together with the grants. */
  revoke(grantId?: string): void {
    for (const kind of TOKEN_KINDS) {
      const records = this.records(kind);
      for (const [id, record] of records) {
        if (record.grantId !== undefined && (grantId ?? record.grantId) === record.grantId) {
          records.delete(id);
        }
      }
    }
    if (grantId === undefined) this.records("Grant").clear();
  }
}
