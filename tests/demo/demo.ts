// deno-lint-ignore-file no-console -- what the demo prints is what it is for
/**
 * Signs in, refreshes and signs out against a real OpenID Provider on this machine, and tells what
 * happens: `deno task demo`. With `--manual` you approve the first sign-in in your own browser.
 */
import * as vm from "@validmind/auth";
import { startOidcProvider, type TestOidcProvider } from "../support/oidc_provider.ts";
import { modeOf } from "../support/sandbox.ts";
import { withTempHome } from "../support/temp_home.ts";
import { startTrackingApi, type TrackingApi } from "../support/tracking_api.ts";

/** What all steps have to do with, on loopback and in one temporary home. */
interface World {
  provider: TestOidcProvider;
  api: TrackingApi;
  file: vm.FileCredentialsBackend;
  stored: () => vm.OidcCredentials;
  manual: boolean;
}

/** What came of a step, by label. */
type Facts = Record<string, unknown>;

/** The demo's steps, each of which goes on from the one before, with what the person's program says. */
const STEPS: [title: string, code: string, run: (world: World) => Promise<Facts>][] = [
  [
    "the first start: a person signs in",
    "const session = await vm.init(); // issuer, client id and model: from the environment",
    async ({ provider, manual, file }) => {
      provider.autoApprove = !manual;
      const session = await vm.init();
      const { name, email } = await session.status();
      return {
        "Signed in as": `${name} <${email}>`,
        "Model, as the API says": session.info?.model.name,
        "Tokens are kept in": `${file.path} (mode ${modeOf(file.path).toString(8)})`,
      };
    },
  ],
  [
    "the second start: the stored token serves",
    "const session = await vm.init();",
    async ({ provider }) => {
      const { email } = await (await vm.init({ interactive: false })).status();
      check(provider.requests.length === 0, "a start from a stored token asked the provider");
      return { "Signed in as": email };
    },
  ],
  [
    "an hour later: the token has ended and is refreshed",
    "const session = await vm.init();",
    async ({ provider, file, stored }) => {
      const before = stored();
      provider.expireAccessTokens();
      const [key] = await Array.fromAsync(file.list());
      await file.put(key!, { ...before, expires_at: "2020-01-01T00:00:00Z" });
      await vm.init({ interactive: false });
      check(before.refresh_token !== stored().refresh_token, "the refresh token was not rotated");
      check(!await provider.isActive(before.refresh_token!), "the old refresh token lives");
      return { "Rotated": "yes" };
    },
  ],
  [
    "a call to the API",
    'const answer = await session.post("log_metadata", { json: { score: 0.87 } });',
    async ({ api }) => {
      const answer = await vm.getSession().post("log_metadata", { json: { score: 0.87 } });
      const { headers = {}, status, method, path } = api.requests.at(-1) ?? {};
      check(headers.authorization !== undefined, "the API was given no token");
      return {
        "The API was asked": `${method} ${path}`,
        "For the model": headers["x-model-cuid"],
        "It answered": `${status} ${JSON.stringify(answer)}`,
      };
    },
  ],
  [
    "signing out, with revocation",
    "await vm.clearOidcCredentials({ revoke: true });",
    async ({ provider, file, stored }) => {
      const { access_token, refresh_token } = stored();
      const { revocation } = await vm.clearOidcCredentials({ revoke: true });
      for (const token of [access_token, refresh_token!]) {
        check(!await provider.isActive(token), "a token outlived the sign-out");
      }
      const left = (await Array.fromAsync(file.list())).length;
      const error = await vm.init({ interactive: false }).catch((error) => error);
      return { "Revocation": revocation, "Entries left": left, "The next start": error.code };
    },
  ],
];

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

function tell(facts: Facts): void {
  const width = Math.max(...Object.keys(facts).map((label) => label.length));
  for (const [label, fact] of Object.entries(facts)) {
    console.log(`  ${label.padEnd(width)}  ${fact}`);
  }
}

await withTempHome(async (home) => {
  await using provider = await startOidcProvider({ interval: 1 });
  await using api = await startTrackingApi({ accepts: (token) => provider.isActive(token) });
  Deno.env.set("VM_OIDC_ISSUER", provider.issuer);
  Deno.env.set("VM_OIDC_CLIENT_ID", provider.clientId);
  Deno.env.set("VM_API_HOST", api.apiHost);
  Deno.env.set("VM_API_MODEL", "cl-demo");
  console.log("All of this runs on your machine. Your own credentials are left alone.\n");
  tell({ "OpenID Provider": provider.issuer, "API": api.apiHost, "Temporary home": home });
  const file = new vm.FileCredentialsBackend();
  const key = vm.credentialKey(provider.issuer, provider.clientId);
  const manual = Deno.args.includes("--manual");
  const world = { provider, api, file, stored: () => file.get(key)!, manual };
  for (const [index, [title, code, run]] of STEPS.entries()) {
    console.log(`\nStep ${index + 1} of ${STEPS.length}: ${title}\n\n    ${code}\n`);
    provider.reset();
    tell({ ...await run(world), "Requests to the provider": provider.requests.length });
  }
});
console.log("\nDone. The temporary home is gone.");
