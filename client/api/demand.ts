import { given, parseObject } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { readClaims } from "../entry/bearer.ts";
import type { ApiDemand } from "../errors.ts";

/** The action of `discoverApi`, whose errors are about the address that it got. */
export const FIND_API = "find out how to sign in to the API";

/** The parameters of a challenge, or of a request. */
export type Parameters = Readonly<Record<string, string | undefined>>;

/** Names that a request can carry, and no more than any API wants. */
export const WORDS = /^(?=.{1,2000}$)[!#-[\]-~]+( [!#-[\]-~]+)*$/;

/**
 * The demand among parameters, if there is one that a request can carry and a terminal can show. Its claims
 * are JSON, or base64 of it.
 */
export function readDemand(
  { acr_values: acrValues, max_age: maxAge, claims = "", scope }: Parameters,
): ApiDemand | undefined {
  const json = JSON.stringify(parseObject(claims) ?? readClaims(`.${claims}`));
  // In a command that an error shows, PowerShell would run what stands behind it.
  const isCommand = [acrValues, json, scope].join().includes("$(");
  const isFit = !isCommand && [acrValues, scope].every((text = "none") => WORDS.test(text)) &&
    /^\d{1,9}$/.test(maxAge ?? "0") && /^\{[ -~]{0,2000}$/.test(json ?? "{");
  const demand = given({ acrValues, maxAge: maxAge && Number(maxAge), claims: json, scope });
  if (isFit && Object.keys(demand).length > 0) return demand as ApiDemand;
  return undefined;
}

/** The parameters of a demand, as a request has them. */
export function parametersOf({ acrValues, maxAge, claims, scope }: ApiDemand) {
  return given({ acr_values: acrValues, max_age: maxAge?.toString(), claims, scope });
}

/** Scopes, each once. */
export function joinScopes(...scopes: readonly unknown[]) {
  return [...new Set(scopes.join(" ").split(" "))].filter(Boolean).join(" ");
}

/**
 * Why an entry does not meet a demand; `undefined` where it does, as far as its tokens tell.
 *
 * @param askedAt When the person was asked, in seconds by the provider's clock.
 */
export function shortfallOf(
  { acrValues, maxAge, scope = "" }: ApiDemand,
  entry: OidcCredentials,
  askedAt: number,
): string | undefined {
  // A JWT of RFC 9068 has the same claims, where the ID token lacks one.
  const claims = { ...readClaims(entry.access_token), ...readClaims(entry.id_token) };
  const acr = typeof claims.acr === "string" ? printable(claims.acr) : "missing";
  if (acrValues && !acrValues.split(" ").includes(acr)) return `acr is ${acr}, not ${acrValues}`;
  // Clocks are read in whole seconds, and compared to five of them.
  const isNew = Number(claims.auth_time) + Number(maxAge) + 5 >= askedAt;
  if (maxAge !== undefined && !isNew) return `auth_time is not within ${maxAge} seconds`;
  // Microsoft Entra grants a scope with the name of its API, or without.
  const granted = `${entry.granted_scope ?? entry.scope}`.split(/[ /]/);
  const missing = scope.split(" ").find((name) => !granted.includes(name.replace(/^.*\//, "")));
  return missing && `the scope ${missing} was not granted`;
}
