/**
 * Measures the time from the browser's answer to a usable bearer beside the bare sequence of
 * oauth4webapi, by turns: `deno run -A tests/bench/browser_exchange.ts [rounds]`.
 */
import * as oauth from "oauth4webapi";
import { createSession, MemoryCredentialsBackend } from "../../mod.ts";
import type { AuthorizationPrompt } from "../../mod.ts";
import { startOidcProvider, type TestOidcProvider } from "../support/oidc_provider.ts";

const INSECURE = { [oauth.allowInsecureRequests]: true };

/** The whole of this module: listener, exchange, checks, store. */
async function ours(provider: TestOidcProvider): Promise<number> {
  const shown = Promise.withResolvers<AuthorizationPrompt>();
  const session = createSession({
    issuer: provider.issuer,
    clientId: provider.clientId,
    flow: "browser",
    credentialsBackend: new MemoryCredentialsBackend(),
    onAuthorizationUrl: shown.resolve,
  });
  const { url, redirectUri } = await shown.promise;
  const answer = await provider.follow(url, { stopAt: redirectUri });
  const start = performance.now();
  const page = fetch(answer.url);
  await (await session).accessToken();
  const ms = performance.now() - start;
  await (await page).text();
  await (await session).close();
  return ms;
}

/** The same requests and checks, and nothing else. */
async function bare(provider: TestOidcProvider): Promise<number> {
  const issuer = new URL(provider.issuer);
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, INSECURE),
  );
  const client = { client_id: provider.clientId };
  const [state, nonce, verifier] = [
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
    oauth.generateRandomCodeVerifier(),
  ];
  const redirectUri = "http://127.0.0.1:9/callback";
  const url = new URL(server.authorization_endpoint!);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    response_type: "code",
    redirect_uri: redirectUri,
    scope: "openid profile email offline_access",
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  }).toString();
  const answer = await provider.follow(url.href, { stopAt: redirectUri });
  const start = performance.now();
  const parameters = oauth.validateAuthResponse(server, client, new URL(answer.url), state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    parameters,
    redirectUri,
    verifier,
    INSECURE,
  );
  await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce });
  await oauth.validateApplicationLevelSignature(server, response, INSECURE);
  return performance.now() - start;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

if (import.meta.main) {
  const rounds = Number(Deno.args[0] ?? 40);
  await using provider = await startOidcProvider();
  for (let warmUp = 0; warmUp < 3; warmUp++) await ours(provider), await bare(provider);
  const times = { ours: [] as number[], bare: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const turns = round % 2 === 0 ? [ours, bare] : [bare, ours];
    for (const turn of turns) times[turn === ours ? "ours" : "bare"].push(await turn(provider));
  }
  const [mine, theirs] = [median(times.ours), median(times.bare)];
  const figures = { rounds, oursMs: mine, bareMs: theirs, ratio: mine / theirs };
  // deno-lint-ignore no-console -- its output
  console.log(
    JSON.stringify(figures, (_, value) => typeof value === "number" ? +value.toFixed(2) : value),
  );
}
