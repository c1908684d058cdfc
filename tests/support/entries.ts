import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";

/** What must never be shown. No two have a piece in common with each other or with other text. */
export const SECRETS = {
  access: "at7Qx9mZ2vKw4Lr8",
  refresh: "rt3Bn6yHs1Jd5Gf0",
  id: "idPc8Tk2Wq7Xz4Mv",
  extra: "ex9Vr5Du1Ym6Sa3E",
};

/** A key as `credentialKey` makes it. */
export const KEY = "https://login.example.com|my-app";

/** Another key. */
export const OTHER = "https://login.example.com|other-app|https://api.example.com";

/** Keys that a store may stumble over. */
export const AWKWARD_KEYS: readonly string[] = [
  "https://idp.example.com/realms/größe|klient-ß|日本 🔑",
  "__proto__",
  "constructor",
  "toString",
  "",
  "../../etc/passwd|a\\b",
  "line\nbreak\ttab\u0000nul\"quote'",
  `https://login.example.com|${"x".repeat(900)}`,
];

/** An entry that holds every secret of {@linkcode SECRETS}. */
export function entry(fields: Record<string, unknown> = {}): OidcCredentials {
  return {
    issuer: "https://login.example.com",
    client_id: "my-app",
    access_token: SECRETS.access,
    refresh_token: SECRETS.refresh,
    id_token: SECRETS.id,
    expires_at: "2099-01-01T00:00:00.000Z",
    x_extra: { kept: [1, 2.5, null, SECRETS.extra] },
    ...fields,
  };
}

/** The same with the two fields alone that tell one from another in a test of many. */
export function small(clientId: string): OidcCredentials {
  return { issuer: "https://login.example.com", client_id: clientId, access_token: "small" };
}

/** The tokens in an entry. */
export function tokensOf(entry: OidcCredentials): string[] {
  return [entry.access_token, entry.refresh_token, entry.id_token].filter((token) =>
    typeof token === "string"
  );
}
