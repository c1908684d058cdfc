import { Browser } from "../../../support/browser.ts";
import type { KeycloakRealm } from "./keycloak.ts";
import { PASSWORD, USER } from "./keycloak_realm.ts";

const FLOW = "steps";
const FLOWS = "/authentication/flows";

/** A client whose person gives the password once for silver, and twice for gold. */
export const STEPS_CLIENT = "steps";

/** Makes the client, with a level of authentication for each step. */
export async function addSteps(realm: KeycloakRealm): Promise<void> {
  const flow = { alias: FLOW, providerId: "basic-flow", topLevel: true, builtIn: false };
  await realm.admin("POST", FLOWS, flow);
  await addLevel(realm, 1, "auth-username-password-form");
  await addLevel(realm, 2, "auth-password-form");
  const flows = await realm.admin("GET", FLOWS) as { id: string; alias: string }[];
  const { id } = flows.find(({ alias }) => alias === FLOW)!;
  const { attributes } = await realm.admin("GET", "") as { attributes: Record<string, string> };
  const map = JSON.stringify({ silver: 1, gold: 2 });
  await realm.admin("PUT", "", { attributes: { ...attributes, "acr.loa.map": map } });
  await realm.admin("POST", "/clients", {
    clientId: STEPS_CLIENT,
    publicClient: true,
    standardFlowEnabled: true,
    redirectUris: ["http://127.0.0.1/callback"],
    authenticationFlowBindingOverrides: { browser: id },
    attributes: { "oauth2.device.authorization.grant.enabled": "true" },
  });
}

/** Adds one level, by the way that Keycloak's own page makes it. */
async function addLevel(realm: KeycloakRealm, level: number, provider: string): Promise<void> {
  const alias = `level-${level}`;
  const type = { alias, type: "basic-flow", provider: "registration-page-form", description: "" };
  await realm.admin("POST", `${FLOWS}/${FLOW}/executions/flow`, type);
  const condition = "conditional-level-of-authentication";
  for (const one of [condition, provider]) {
    await realm.admin("POST", `${FLOWS}/${alias}/executions/execution`, { provider: one });
  }
  const path = `${FLOWS}/${FLOW}/executions`;
  const all = await realm.admin("GET", path) as {
    id: string;
    displayName: string;
    providerId?: string;
    requirement: string;
  }[];
  const at = all.findIndex(({ displayName }) => displayName === alias);
  for (const execution of all.slice(at)) {
    const requirement = execution.providerId === undefined ? "CONDITIONAL" : "REQUIRED";
    await realm.admin("PUT", path, { ...execution, requirement });
    if (execution.providerId !== condition) continue;
    const config = { "loa-condition-level": `${level}`, "loa-max-age": "0" };
    await realm.admin("POST", `/authentication/executions/${execution.id}/config`, {
      alias: `${alias}-${execution.id}`,
      config,
    });
  }
}

/** Signs the person in, by as many steps as there are. Gives the number of passwords. */
export async function followSteps(url: string): Promise<number> {
  const browser = new Browser();
  let page = await browser.open(url);
  let passwords = 0;
  while (page.forms.length > 0) {
    const [{ fields }] = page.forms as [typeof page.forms[0]];
    if (/type="password"/.test(page.html)) passwords++;
    const answers = { username: USER, password: PASSWORD, accept: "Yes" };
    page = await browser.submit(page, { ...fields, ...answers });
    if (passwords > 5) throw new Error(page.html);
  }
  return passwords;
}
