// @ts-types="@types/oidc-provider"
import type { Interaction, KoaContextWithOIDC, Provider } from "oidc-provider";
import { ACCOUNT } from "./oidc_config.ts";
import { escapeHtml } from "../../client/prompt/prompt.ts";
import { oidcPage } from "./oidc_page.ts";

type Context = Pick<KoaContextWithOIDC, "req" | "res" | "path" | "method" | "redirect"> & {
  body: unknown;
  status: number;
  type: string;
};

/** The provider's sign-in and consent pages, as middleware. Any login is accepted, without a password. */
export function oidcInteractions(
  provider: Provider,
): (ctx: Context, next: () => Promise<void>) => Promise<void> {
  return async (ctx, next) => {
    if (!ctx.path.startsWith("/interaction/")) return await next();
    const interaction = await provider.interactionDetails(ctx.req, ctx.res);
    if (ctx.method === "POST") await submit(provider, interaction, ctx);
    else render(interaction, ctx);
  };
}

function render(interaction: Interaction, ctx: Context): void {
  const { prompt, params } = interaction;
  ctx.status = 200;
  ctx.type = "html";
  ctx.body = prompt.name === "login" ? loginPage() : consentPage(String(params.scope ?? ""));
}

function loginPage(): string {
  return oidcPage(
    "Sign in",
    `<form method="post">
      <label>Login <input name="login" value="${escapeHtml(ACCOUNT.sub)}" autofocus></label>
      <button type="submit">Sign in</button>
    </form>`,
  );
}

function consentPage(scope: string): string {
  return oidcPage(
    "Authorize",
    `<p>The client asks for: ${escapeHtml(scope)}</p>
    <form method="post">
      <button type="submit" autofocus>Continue</button>
      <button type="submit" name="abort" value="yes">Deny</button>
    </form>`,
  );
}

async function submit(provider: Provider, interaction: Interaction, ctx: Context): Promise<void> {
  const form = new URLSearchParams(await readText(ctx.req));
  const result = await answer(provider, interaction, form);
  const options = { mergeWithLastSubmission: interaction.prompt.name === "consent" };
  const returnTo = await provider.interactionResult(ctx.req, ctx.res, result, options);
  ctx.redirect(returnTo);
  ctx.status = 303;
}

async function answer(provider: Provider, interaction: Interaction, form: URLSearchParams) {
  if (form.has("abort")) {
    return { error: "access_denied", error_description: "End-User aborted interaction" };
  }
  if (interaction.prompt.name === "login") {
    return { login: { accountId: form.get("login") || ACCOUNT.sub } };
  }
  return { consent: { grantId: await saveGrant(provider, interaction) } };
}

async function saveGrant(
  provider: Provider,
  { grantId, params, prompt, session }: Interaction,
): Promise<string> {
  const details = prompt.details as {
    missingOIDCScope?: string[];
    missingOIDCClaims?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  const found = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant = found ?? new provider.Grant({
    accountId: session?.accountId ?? "",
    clientId: String(params.client_id),
  });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(" "));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "));
  }
  return await grant.save();
}

async function readText(request: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of request) text += decoder.decode(chunk, { stream: true });
  return text;
}
