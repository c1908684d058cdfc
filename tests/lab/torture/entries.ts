import type { OidcCredentials } from "@validmind/auth";

/** A made-up entry that carries a number. */
export function numberedEntry(n: number): OidcCredentials {
  return {
    issuer: "https://login.example.com",
    client_id: "torture",
    access_token: `fixture-access-${n}-${"x".repeat(1500)}`,
    refresh_token: `fixture-refresh-${n}`,
    expires_at: "2099-01-01T00:00:00.000Z",
    n,
  };
}
