import { createSession } from "../../client/create_session.ts";
import { CLIENT_SECRET, jobOptions, withClient } from "../support/client_world.ts";
import { oauthError } from "../support/scripted_provider.ts";
import { makeSigningKey } from "../support/jwt.ts";
import type { MessageRow } from "./message_row.ts";
import {
  answering,
  DEVICE,
  jobAfter,
  real,
  refusal,
  scripted,
  signIn,
  withIdToken,
} from "./fault_rows.ts";

export const OF_CLIENT: MessageRow[] = [
  real("The client is unknown", (world) => signIn(world, { clientId: "my-clinet" })),
  real("The client's secret is missing", (world) => signIn(world), withClient()),
  real(
    "The client's secret is wrong",
    (world) => signIn(world, { clientSecret: "an old secret" }),
    withClient(),
  ),
  real(
    "A job's client may not sign in itself",
    (world) => createSession(jobOptions(world, { clientSecret: CLIENT_SECRET })),
    withClient({ grants: [DEVICE] }),
  ),
  scripted("The client is disabled", (world) => {
    world.provider.script.device.push(refusal("invalid_client", "Client disabled", 401));
    return signIn(world);
  }, { where: "Keycloak's words" }),
  real("The client has no device flow", (world) => signIn(world, { flow: "device" }), {
    configure: (config) => {
      Object.assign(config.clients![0]!, { grant_types: ["authorization_code"] });
    },
  }),
  scripted(
    "The provider has no flow for people",
    ({ options: { onDeviceCode: _, ...options } }) => createSession(options),
    { discovery: { device_authorization_endpoint: undefined } },
  ),
  real("A job has nothing to prove its client by", (world) => createSession(jobOptions(world))),
  scripted(
    "The provider has no sign-in in the browser",
    ({ options: { onDeviceCode: _, ...more } }) => createSession({ ...more, flow: "browser" }),
  ),
  scripted(
    "The client has to be public",
    answering("device", refusal("invalid_client", "AADSTS7000218: The request body must contain")),
    { where: "Entra's words" },
  ),
  scripted(
    "A policy refuses the device flow",
    answering("token", refusal("access_denied", "AADSTS53003: Access has been blocked")),
    { where: "Entra's words" },
  ),
  scripted(
    "The client has to use DPoP",
    answering("device", refusal("invalid_request", "DPoP proof is missing")),
    { where: "Keycloak's words" },
  ),
  real("The provider has no DPoP", (world) => signIn(world, { dpop: true })),
  real("The scope is unknown", (world) => signIn(world, { scope: "openid models" }), {
    configure: (config) => {
      Object.assign(config, { scopes: ["openid", "offline_access", "models"] });
      Object.assign(config.clients![0]!, { scope: "openid offline_access" });
    },
  }),
  scripted("The audience is unknown", answering("device", () => oauthError("invalid_target"))),
];

export const OF_SIGN_IN: MessageRow[] = [
  real("The person refuses", (world) => {
    world.clock.onDelay = () => world.provider.approve(world.codes[0]!.userCode, { deny: true });
    return signIn(world);
  }),
  real("Nobody approves in time", (world) => {
    world.clock.onDelay = () => {};
    return signIn(world);
  }, { deviceCodeTtl: 60 }),
  real("The session was ended", (world) => jobAfter(world, () => world.provider.revokeGrants())),
  real(
    "The refresh token has ended",
    (world) => jobAfter(world, () => world.provider.expireRefreshTokens()),
  ),
  scripted(
    "The person's account was disabled",
    (world) =>
      jobAfter(
        world,
        () => world.provider.script.token.push(refusal("invalid_grant", "User disabled")),
      ),
    {
      where: "Keycloak's words",
    },
  ),
  real("The sign-in has no refresh token", (world) => jobAfter(world, () => {}), {
    issueRefreshToken: false,
  }),
  scripted(
    "The ID token is for another client",
    (world) => withIdToken(world, () => world.provider.idToken({ aud: "another" })),
  ),
  scripted(
    "The ID token has ended",
    (world) => withIdToken(world, () => world.provider.idToken({ exp: 1_700_000_000 })),
  ),
  scripted(
    "The ID token is signed by an unknown key",
    (world) =>
      withIdToken(world, async () => world.provider.idToken({}, { key: await makeSigningKey() })),
  ),
  scripted(
    "The ID token is signed with HS256",
    (world) => withIdToken(world, () => world.provider.idToken({}, { header: { alg: "HS256" } })),
  ),
  scripted("There is no ID token, which is the bearer", (world) => {
    world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
    return signIn(world, { bearer: "id_token", scope: "offline_access" });
  }),
];
