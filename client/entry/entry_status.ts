import { given } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { asksNobody, type Bearer, endOf, readClaims } from "./bearer.ts";

/** What an entry says of a sign-in, whose names and scopes are text of others. */
export function entryStatus(
  identity: { clientId: string; profile?: string; flow?: string; dpop?: boolean },
  entry: OidcCredentials | undefined,
  bearer: Bearer | undefined,
) {
  const { clientId, profile, flow, dpop } = identity;
  const isAlone = asksNobody(flow);
  const claims = readClaims(entry?.id_token);
  return given({
    flow: isAlone && flow || undefined,
    subject: shownText(flow === "client_credentials" && clientId || claims?.sub),
    name: shownText(claims?.name ?? claims?.preferred_username),
    email: shownText(claims?.email),
    ...endOf(bearer),
    refreshable: isAlone && bearer !== undefined || !isAlone && Boolean(entry?.refresh_token),
    profile,
    dpop: dpop || undefined,
    scope: shownText(entry?.scope),
    grantedScope: shownText(entry?.granted_scope),
  });
}

/** The text of others, where there is some. */
export function shownText(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  return printable(value);
}
