import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { benchEntry, CLIENT_ID, ISSUER, KEY } from "../bench_world.ts";
import { measureCalls, type TimedCall } from "../measure_calls.ts";
import { GOOGLE_AUTH, MSAL_AUTHORITY, MSAL_NODE, writePeerCaches } from "../peers.ts";

const BASE = "a plain async function with an expiry check";

/** Calls in a process that has a valid token in memory already. */
export async function hotPath(options: BenchOptions): Promise<BenchSection> {
  const calls = [{ name: BASE, run: plain() }, ...await own(), ...await peers(options)];
  const measured = await measureCalls(calls, {
    batches: Math.ceil(60 * options.effort),
    perBatch: 20_000,
  });
  return {
    title: "A call for a token that is in memory",
    unit: "µs",
    base: BASE,
    rows: toRows(measured, BASE, { "accessToken()": 1.2 }),
  };
}

function plain(): () => Promise<string> {
  const { access_token } = benchEntry();
  const freshUntil = Date.parse("2099-01-01");
  // deno-lint-ignore require-await -- what is measured is an async function
  return async () => {
    if (Date.now() < freshUntil) return access_token;
    throw new Error("expired");
  };
}

async function own(): Promise<TimedCall[]> {
  const credentialsBackend = new MemoryCredentialsBackend();
  credentialsBackend.put(KEY, benchEntry());
  const options = { issuer: ISSUER, clientId: CLIENT_ID, credentialsBackend };
  const session = await createSession(options);
  return [
    { name: "accessToken()", run: () => session.accessToken() },
    { name: "headers()", run: () => session.headers() },
    { name: "createSession() from memory, after a sign-in", run: () => createSession(options) },
  ];
}

async function peers({ folder }: BenchOptions): Promise<TimedCall[]> {
  const { msal: [path, clientId, homeAccountId] } = await writePeerCaches(folder, "a");
  const { OAuth2Client } = await import(`npm:${GOOGLE_AUTH}`);
  const google = new OAuth2Client({ clientId: "bench" });
  google.setCredentials({ access_token: "a", expiry_date: Date.parse("2099-01-01") });
  const { PublicClientApplication } = await import(`npm:${MSAL_NODE}`);
  const app = new PublicClientApplication({ auth: { clientId, authority: MSAL_AUTHORITY } });
  app.getTokenCache().deserialize(await Deno.readTextFile(path!));
  const account = await app.getTokenCache().getAccountByHomeId(homeAccountId);
  const silent = { account, scopes: ["api://x/read"] };
  return [
    { name: "google-auth-library getAccessToken()", run: () => google.getAccessToken() },
    { name: "msal-node acquireTokenSilent()", run: () => app.acquireTokenSilent(silent) },
  ];
}
