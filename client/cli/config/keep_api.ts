import { normalizeIssuer } from "../../credential_key.ts";
import { discoverApi } from "../../init.ts";
import { type OptionName, OPTIONS, SETTINGS } from "../../options/declaration.ts";
import { findOrigin, SETTINGS_FILE } from "../../options/places.ts";
import { PROGRAM, usageError } from "../command.ts";
import { FlagValues } from "../flags.ts";
import { note, toJsonText } from "../output.ts";
import { valueFlags } from "../report_error.ts";
import { sessionOptions } from "../sign_in_target.ts";
import { CHANGE, changeSettings, keptSettings } from "./change_settings.ts";

/**
 * Asks an API how to sign in to it, and keeps that in the settings once the person has confirmed the issuer.
 * The API names it, and only the address is the person's own.
 *
 * @returns The flags, with the sign-in that was found.
 */
export async function keepApi(
  flags: FlagValues,
  address: string,
  action: string,
): Promise<FlagValues> {
  const kept = keptSettings(flags);
  const { issuers, options } = await discoverApi(address);
  note(toJsonText({ issuers, ...options }, 2));
  const named = flags.text("issuer") ?? kept.issuer ?? askIssuer(issuers);
  const issuer = issuers.find((one) => isSame(one, named));
  if (issuer === undefined && kept.issuer !== named) {
    const fault = named ? `${named} is not an issuer of the API` : "nobody confirmed the issuer";
    throw usageError(`Cannot ${action}: ${fault}. Give one as --issuer: ${issuers.join(", ")}`);
  }
  const own = Object.fromEntries(Object.entries(sessionOptions(flags)).filter(isKept));
  const { audience = kept.apiHost } = kept; // an address may be that of an endpoint of the API
  if (!isSame(audience, own.audience ?? options.audience) || !isSame(kept.issuer, issuer)) {
    throw usageError(
      `Cannot ${action}: the settings are of another API or issuer. Give another --profile NAME for ` +
        `this one, or take them out:\n  ${PROGRAM} config unset issuer apiHost audience` +
        valueFlags(flags, ["profile", "config"]),
    );
  }
  const clientId = flags.text("client-id") ?? kept.clientId;
  if (clientId === undefined) {
    throw usageError(
      `Cannot ${action}: no client is known. Give --client-id, or send this to the administrator of the API:\n` +
        "Which public client may sign in so, with a device code or the redirect URI?\n" +
        Object.entries({ ...options, issuer, "redirect URI": "http://127.0.0.1/callback" })
          .map((fact) => fact.join(": ")).join("\n"),
    );
  }

  const found = { ...options, ...own, issuer, clientId };
  const pairs = Object.entries(found).map(([name, value]) => [name, `${value}`] as const);
  await changeSettings(flags, "set", pairs);
  await tellVariables(flags, action, found);
  return new FlagValues(flags).set("issuer", [`${issuer}`]).set("client-id", [`${clientId}`]);
}

/** Tells of variables that win over what was kept: the next command would use another sign-in. */
async function tellVariables(
  flags: FlagValues,
  action: string,
  kept: Readonly<Record<string, unknown>>,
) {
  const places = { profile: flags.text("profile"), [SETTINGS_FILE]: flags.text("config") };
  const { origin } = await findOrigin(places, CHANGE);
  const inTheWay = ["apiKey", "apiUrl", ...Object.keys(kept)].flatMap((name) => {
    const found = origin.find(name as OptionName);
    if (found === undefined || isSame(found.value, kept[name])) return [];
    // A profile that no flag has named.
    if (found.place.kind === "profile") return OPTIONS.profile.variable;
    return found.from;
  });
  if (inTheWay.length === 0) return;
  const variables = [...new Set(inTheWay)].join(" ");
  const advice = `variables win over the settings that were kept. Run:\n  unset ${variables}\n` +
    "or give --profile NAME here and to each command.";
  if (action !== CHANGE) throw usageError(`Cannot ${action}: ${advice}`);
  note(`Note: ${advice}\n`);
}

/** Whether an option of a flag is kept: all that a settings file has, but for what is for one sign-in. */
function isKept([name, value]: [string, unknown]) {
  const isOnce = name === "openBrowser" || typeof value === "object";
  return !isOnce && SETTINGS.some((one) => one === name);
}

/** Asks for one of the issuers. Enter alone confirms none. */
function askIssuer([first = "", ...others]: readonly string[]) {
  const choice = others.length > 0 ? ", or type another of the issuers" : "";
  const answer = prompt(`Sign in at ${first}? If you know it, answer y${choice}:`);
  // Ctrl-C. Without a terminal nobody was asked, and the error has the flag.
  if (answer === null && Deno.stdin.isTerminal()) throw new DOMException("", "AbortError");
  return answer?.replace(/^y(es)?$/i, first) ?? "";
}

/** Whether two addresses are the same. One that is not kept yet may be any. */
function isSame(one: unknown, other: unknown) {
  return normalizeIssuer(`${one ?? other}`) === normalizeIssuer(`${other}`);
}
