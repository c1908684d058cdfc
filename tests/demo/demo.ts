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

/** Each step goes on from the one before. */
async function tellStory(provider: TestOidcProvider, api: TrackingApi): Promise<void> {
  step("The first start: a person signs in", "const session = await vm.init();");
  const session = await vm.init();
  const { name, email } = await session.status();
  const file = new vm.FileCredentialsBackend();
  tell("Signed in as", `${name} <${email}>`);
  tell("Model, as the API says", session.info?.model.name);
  tell("Tokens are kept in", `${file.path} (mode ${modeOf(file.path).toString(8)})`);

  step("The second start: the stored token serves", "const session = await vm.init();");
  provider.reset();
  await vm.init();
  tell("Requests to the provider", provider.requests.length);

  step("An hour later: the token is refreshed", "const session = await vm.init();");
  provider.expireAccessTokens();
  const [key] = await Array.fromAsync(file.list());
  const before = file.get(key!)!;
  await file.put(key!, { ...before, expires_at: "2020-01-01T00:00:00Z" });
  await vm.init();
  const isRotated = before.refresh_token !== file.get(key!)!.refresh_token;
  tell("A new refresh token, too", isRotated);

  const call = '("log_metadata", { json: { score: 0.87 } });';
  step("A call to the API", `const answer = await session.post${call}`);
  const answer = await vm.getSession().post("log_metadata", { json: { score: 0.87 } });
  tell("The API was asked for", api.requests.at(-1)!.headers["x-model-cuid"]);
  tell("It answered", JSON.stringify(answer));

  step("Signing out, with revocation", "await vm.clearOidcCredentials({ revoke: true });");
  tell("Revocation", (await vm.clearOidcCredentials({ revoke: true })).revocation);
  const error = await vm.init({ interactive: false }).catch((error) => error);
  tell("The next start", error.code);
}

function step(title: string, code: string): void {
  console.log(`\n${title}\n\n    ${code}\n`);
}

function tell(label: string, fact: unknown): void {
  console.log(`  ${label.padEnd(24)}  ${fact}`);
}

const SIGNALS: Deno.Signal[] = ["SIGINT", "SIGHUP"];
if (Deno.build.os !== "windows") SIGNALS.push("SIGTERM");

const unknown = Deno.args.find((word) => word !== "--manual");
if (unknown !== undefined) {
  console.error(`Cannot use ${unknown}: the demo knows --manual alone. Leave it out.`);
  Deno.exit(2);
}
const isManual = Deno.args.includes("--manual");

// All is on this machine, for which a company's proxy is not.
for (const name of Object.keys(Deno.env.toObject())) {
  if (/^(?:http|all)_proxy$/i.test(name)) Deno.env.delete(name);
}

await withTempHome(async (home) => {
  await using provider = await startOidcProvider({ interval: 1 });
  await using api = await startTrackingApi({ accepts: (token) => provider.isActive(token) });
  provider.autoApprove = !isManual;
  // Ctrl-C, or a terminal that is closed, would leave the home behind.
  for (const signal of SIGNALS) {
    Deno.addSignalListener(signal, () => {
      Deno.removeSync(home, { recursive: true });
      Deno.exit(130);
    });
  }
  Deno.env.set("VM_OIDC_ISSUER", provider.issuer);
  Deno.env.set("VM_OIDC_CLIENT_ID", provider.clientId);
  Deno.env.set("VM_API_HOST", api.apiHost);
  Deno.env.set("VM_API_MODEL", "cl-demo");
  console.log("All of this runs on your machine. Your own credentials are left alone.\n");
  tell("OpenID Provider", provider.issuer);
  tell("Client", provider.clientId);
  tell("API", api.apiHost);
  tell("Temporary home", home);
  tell(
    "Who approves",
    isManual
      ? "you: any name and password do"
      : "this program (you, with: deno task demo --manual)",
  );
  await tellStory(provider, api).catch((error) => {
    if (error.code !== "device_code_expired") throw error;
    console.error("\nNobody approved in time. Run it again.");
    Deno.exitCode = 1;
  });
});
console.log("\nDone. The temporary home is gone.");
