/** The scope that is requested by default. */
export const DEFAULT_SCOPE = "openid profile email offline_access";

const ENTRA =
  /^https:\/\/login\.(microsoftonline\.(com|us)|partner\.microsoftonline\.cn)(:443)?(\/|$)/i;

/** Whether a flow asks no person, so that a new token needs no stored one. */
export function asksNobody(
  flow: string | undefined,
): flow is "client_credentials" | "token_exchange" {
  return flow === "client_credentials" || flow === "token_exchange";
}

/** The token that is the bearer for an issuer. */
export function bearerKind(
  bearer: "auto" | "access_token" | "id_token",
  issuer: string,
  flow?: string,
): "access_token" | "id_token" {
  if (bearer !== "auto") return bearer;
  return !asksNobody(flow) && isEntraIssuer(issuer) ? "id_token" : "access_token";
}

/** Whether an issuer belongs to Microsoft Entra, in the public or a sovereign cloud. */
export function isEntraIssuer(issuer: string): boolean {
  return ENTRA.test(issuer);
}
