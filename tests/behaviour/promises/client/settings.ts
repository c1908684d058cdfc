import type { PagePromises } from "../page_promises.ts";

const OPTIONS = "client/options/resolve_options_test.ts: resolveOptions:";
const FROM_ENV = `${OPTIONS} all from the environment`;
const DEFAULTS = `${OPTIONS} defaults`;
const BROWSER_OPTIONS = "client/options/browser_options_test.ts: browser options: …";
const SIGN_IN = "behaviour/sign_in";
const SECRET = "behaviour/sign_in/client_secret_test.ts: client secret:";
const ENTRA = "behaviour/sign_in/entra_tenant_test.ts: Entra:";
const NETWORK = "behaviour/sign_in/network_test.ts: network:";
const CLOCK = "behaviour/sign_in/clock_off_test.ts:";
const CHOICE = "backends/resolve_credentials_backend_env_test.ts:";
const REFUSAL = "client/provider/error_test.ts:";

/** Variables, providers, proxies and certificates. */
export const SETTINGS: PagePromises = {
  promises: [
    [
      "`VM_OIDC_ISSUER` | default",
      FROM_ENV,
      "client/entry_key_test.ts: credentialKey: a | in the issuer or the client id is refused",
    ],
    ["`VM_OIDC_CLIENT_ID` | default", FROM_ENV],
    [
      "`VM_OIDC_CLIENT_SECRET` | default",
      `${SECRET} the variable does, and is read only where the provider is needed`,
      `${SECRET} the variable's is not another client's`,
      `${SECRET} the variable's is given to nobody while it cannot be known whose it is`,
    ],
    ["`VM_OIDC_SCOPE` | default", FROM_ENV, DEFAULTS],
    ["`VM_OIDC_AUDIENCE` | default", FROM_ENV],
    [
      "`VM_OIDC_PROFILE` | default",
      "behaviour/sign_in/profile_test.ts: profile: VM_OIDC_PROFILE is its default, and an option",
    ],
    [
      "`VM_OIDC_CREDENTIALS_BACKEND` |",
      "backends/load/backend_setting_built_in_test.ts: each built-in name leads to a class",
      "backends/load/import_backend_jsr_test.ts: the package as JSR serves it loads backends that",
      "backends/load/backend_setting_test.ts: parseBackendSpec splits …",
      "backends/load/backend_setting_test.ts: parseBackendSpec tells the Python library's form apart",
    ],
    [
      "`VM_OIDC_CREDENTIALS_BACKEND_KWARGS` |",
      "backends/load/backend_setting_kwargs_test.ts: a $…{NAME} is put in wherever a string stands",
      `${CHOICE} options without a name are refused, and no plain file is used`,
    ],
    [
      "`VM_OIDC_DENO_CREDENTIALS_BACKEND`, `VM_OIDC_DENO",
      `${CHOICE} the choice names the variables that it needs, as far as they may be read`,
    ],
    [
      "`VM_OIDC_NO_PERSIST` |",
      `${CHOICE} VM_OIDC_NO_PERSIST=… gives memory, whatever else is named`,
      "client/init_test.ts: init: in memory only, by VM_OIDC_NO_PERSIST: no file, and kept",
    ],
    [
      "`VM_OIDC_CLIENT_KEY_FILE` | file",
      `${SIGN_IN}/client_key_test.ts: client key: an … key as PEM signs the client in`,
      `${SIGN_IN}/client_auth_test.ts: client authentication: the variables do, for their own client alone`,
    ],
    [
      "`VM_OIDC_CLIENT_ASSERTION_FILE` | file",
      `${SIGN_IN}/client_assertion_test.ts: client assertion: a renewed one is picked up, through the links of a cluster`,
      `${SIGN_IN}/client_auth_test.ts: client authentication: the variables do, for their own client alone`,
    ],
    ["`VM_OIDC_FLOW` |", `${OPTIONS} flow …, variable`],
    [
      "`VM_OIDC_REDIRECT_URI` | default",
      BROWSER_OPTIONS,
      "client/required_permissions_test.ts: requiredPermissions: the browser flow needs a place",
    ],
    [
      "`VM_OIDC_LISTEN` | default",
      BROWSER_OPTIONS,
      "client/required_permissions_test.ts: requiredPermissions: the browser flow needs a place",
    ],
    [
      "`JUPYTERHUB_PUBLIC_HUB_URL`, `JUPYTERHUB",
      BROWSER_OPTIONS,
      "notebooks/browser_flow_test.ts: the notebook's form hands in the address through the server's",
    ],
    [
      "`SSH_CONNECTION`, `SSH_TTY` |",
      "client/prompt/paste_test.ts: paste: nothing is opened from a login over SSH",
    ],
    [
      "`VM_OIDC_INTERACTIVE` |",
      "client/create_session_test.ts: sign-in: VM_OIDC_INTERACTIVE=… does, too",
      "client/options/bad_options_test.ts: init refuses VM_OIDC_INTERACTIVE=…, and reads it only",
    ],
    ["`VM_API_KEY`, `VM_API_SECRET` | defaults", FROM_ENV],
    ["`VM_API_HOST`, `VM_API_URL` | default", `${OPTIONS} the host of …`, DEFAULTS],
    [
      "`VM_API_MODEL` | default",
      "client/options/resolve_options_test.ts: resolveInitOptions: the model's options and defaults",
    ],
    ["`VM_API_TIMEOUT` |", FROM_ENV, DEFAULTS],
    [
      "`DENO_KV_ACCESS_TOKEN` |",
      "behaviour/permissions/backends_test.ts: KV declares its file, or its server's host with",
    ],
    [
      "`NO_COLOR`, `TERM=dumb` |",
      "client/prompt/open_prompt_test.ts: prompt in a terminal: NO_COLOR leaves no escape code",
      "client/prompt/open_prompt_test.ts: prompt in a terminal that can do nothing: the plain lines",
    ],
    [
      "`COLUMNS` |",
      "client/cli/output_test.ts: output: help fits the terminal, and COLUMNS where it is set",
      "client/cli/output_test.ts: output: help in a pipe has 80 columns, or as many as COLUMNS says",
    ],
    [
      "A platform team can choose the store",
      "backends/resolve_credentials_backend_test.ts: setDefaultBackend sets what getDefaultBackend",
      `${CHOICE} a built-in name gives its backend, with white space around it too`,
    ],
    [
      "Any OpenID Provider with the device flow",
      "client/provider/oidc_provider_test.ts: OidcProvider: a device flow, a refresh and a revocation",
      "client/sign_in/browser_test.ts: browser flow: a person signs in, and the browser says so",
    ],
    [
      "The ID token is held to the issuer of the tenant",
      `${ENTRA} an ID token with … is refused`,
      `${ENTRA} an ID token of another tenant is refused at a refresh, too`,
      `${ENTRA} a refresh does not go over to another tenant`,
    ],
    [
      "Each row is a test, and what people are told",
      "pages_test.ts: the generated parts of … are what the code declares",
    ],
    [
      "Keycloak was also run with Chromium",
      "behaviour/sign_in/federated_client_live_test.ts: federated client: Keycloak takes",
    ],
    [
      "Authlib was also run with the slips",
      "behaviour/providers/authlib_deviations_live_test.ts: Authlib deviates by …: sign-in, refresh",
    ],
    ["What refusals mean; the error's message", `${REFUSAL} refusal of …: … …: says what to do`],
    ["`invalid_client`: at Entra", `${REFUSAL} refusal of …: … …: says what to do`],
    [
      "`unauthorized_client`, `unsupported_grant_type`",
      `${REFUSAL} refusal of …: … …: says what to do`,
    ],
    [
      "`provider_invalid`, naming another issuer",
      "client/provider/oidc_provider_test.ts: OidcProvider: the other issuer is told, and what to give",
    ],
    [
      "`device_flow_unsupported`: the discovery document",
      "client/provider/oidc_provider_test.ts: OidcProvider: without a device endpoint there is no",
    ],
    [
      "`invalid_dpop_proof`: the client has to",
      "behaviour/sign_in/dpop_test.ts: dpop: refused with …",
    ],
    [
      "Deno's own variables are all there is to set",
      `${NETWORK} HTTPS_PROXY carries all requests, and needs no permission for the proxy`,
    ],
    ["`DENO_CERT` | file", `${NETWORK} DENO_CERT adds a company's authority`],
    [
      "`DENO_TLS_CA_STORE` |",
      `${NETWORK} DENO_TLS_CA_STORE=system trusts what the system trusts`,
      `${NETWORK} a company's own authority is not trusted by itself`,
    ],
    ["`HTTPS_PROXY`, `HTTP_PROXY` |", `${NETWORK} HTTPS_PROXY carries all requests`],
    ["`NO_PROXY` | hosts", `${NETWORK} NO_PROXY goes past the proxy`],
    [
      "Permissions are asked for the hosts that are meant",
      `${NETWORK} HTTPS_PROXY carries all requests, and needs no permission for the proxy`,
    ],
    [
      "Neither is followed or taken for an answer",
      "client/tokens/source_test.ts: tokens: the redirect of a captive portal is bridged, too",
      "behaviour/refresh/faults_test.ts: fault: … at refresh: fails and keeps the tokens",
      "client/sign_in/device_faults_test.ts: device flow faults: polling goes on, with longer waits",
    ],
    [
      "A certificate that is not trusted is told as such",
      `${NETWORK} a company's own authority is not trusted by itself: says what to set`,
      `${NETWORK} a certificate for another name is refused`,
    ],
    [
      "ID tokens are judged by the provider's clock",
      `${CLOCK} clock … by 10 minutes: sign-in and refresh work`,
      `${CLOCK} clock off by … s, and no Date header: the ID token's own time counts`,
      `${CLOCK} a Date header set back by 16 minutes passes no ID token`,
      `${CLOCK} no Date header: an ID token of 16 minutes ago is refused`,
    ],
    [
      "Proofs of DPoP and the stored end",
      `${CLOCK} clock off by 5 minutes: a proof of DPoP has the provider's time`,
      `${CLOCK} clock … by an hour: the stored end is the provider's`,
    ],
  ],
  describes: [
    "`VAULT_*`, `BAO_*` |",
    // Of the providers, from their documentation and from users.
    "What the common ones want",
    "Keycloak alone of these was run",
    "Microsoft Entra | an app with the platform",
    "Auth0 | a Native application",
    "Okta | a Native application",
    'Keycloak | a client with "Client authentication" off',
    "Google | an OAuth client",
    "PingOne |",
    "PingFederate |",
    "With `common` and `organizations` an account",
    "Real servers in their released versions",
    "At Google and Ping the secret",
    "`invalid_scope`:",
    "Google knows no `offline_access`",
    "AADSTS50194:",
    "For Entra that is the tenant's id",
    "401 from the API after a sign-in",
    "Check `audience`, and which token",
    // Deno's and the network's own behaviour.
    "The proxy itself needs none",
    "What goes through it stays encrypted",
    "A proxy that asks for a sign-in of its own",
    "This module has no option to switch the check off",
    "Clocks:",
  ],
};
