import { assert, assertEquals } from "@std/assert";
import { liveTests } from "../../support/servers/live_tests.ts";
import {
  AUTHLIB_VERSION,
  OP_SECRET,
  type OpServerName,
  type RunningOp,
  startOpServer,
  ZITADEL_OIDC_VERSION,
} from "../../support/servers/op_server.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const ISSUER = "http://op.test:1234";

/** Endpoints and tokens of one provider, by plain requests. */
class Client {
  readonly #origin: string;
  #discovered: Record<string, string> | undefined;

  constructor({ port }: RunningOp) {
    this.#origin = `http://127.0.0.1:${port}`;
  }

  async discovery(): Promise<Record<string, string>> {
    this.#discovered ??= await (await fetch(`${this.#origin}/.well-known/openid-configuration`))
      .json();
    return this.#discovered!;
  }

  async post(endpoint: string, form: Record<string, string>, headers: HeadersInit = {}) {
    const url = (await this.discovery())[`${endpoint}_endpoint`]!.replace(ISSUER, this.#origin);
    const response = await fetch(url, {
      method: "POST",
      body: new URLSearchParams({ client_id: "public", ...form }),
      headers,
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  async signIn(op: RunningOp) {
    const { body: code } = await this.post("device_authorization", {
      scope: "openid offline_access",
    });
    const form = { grant_type: DEVICE_GRANT, device_code: code.device_code };
    const { body: pending } = await this.post("token", form);
    assertEquals(pending.error, "authorization_pending");
    await op.decide(code.user_code);
    const { status, body } = await this.post("token", form);
    assertEquals([status, typeof body.id_token], [200, "string"]);
    return body;
  }

  async refresh(refresh_token: string) {
    return await this.post("token", { grant_type: "refresh_token", refresh_token });
  }

  async isActive(token: string): Promise<boolean> {
    const authorization = `Basic ${btoa(`resource:${encodeURIComponent(OP_SECRET)}`)}`;
    return (await this.post("introspection", { token }, { authorization })).body.active;
  }
}

for (const name of ["zitadel", "authlib"] satisfies OpServerName[]) {
  const live = await liveTests(name);
  const server = await live.shared(() => startOpServer(name));
  live.afterAll(async () => await server[Symbol.asyncDispose]());

  live.test(`${name}: a refresh token serves once, and its second use ends the sign-in`, async () => {
    await using op = await server.provider(ISSUER);
    const client = new Client(op);
    const first = await client.signIn(op);
    const second = await client.refresh(first.refresh_token);
    assertEquals(second.status, 200);
    assert(await op.hasRefreshToken(second.body.refresh_token));
    const again = await client.refresh(first.refresh_token);
    assertEquals([again.status, again.body.error], [400, "invalid_grant"]);
    const last = await client.refresh(second.body.refresh_token);
    assertEquals([last.status, last.body.error], [400, "invalid_grant"]);
  });

  live.test(`${name}: a revoked sign-in is not active, as an ended one`, async () => {
    await using op = await server.provider(ISSUER);
    const client = new Client(op);
    const { access_token, refresh_token } = await client.signIn(op);
    assert(await client.isActive(access_token));
    assertEquals((await client.post("revocation", { token: refresh_token })).status, 200);
    assertEquals(await client.isActive(access_token), false);
    const other = await client.signIn(op);
    await op.endSessions();
    assertEquals((await client.refresh(other.refresh_token)).body.error, "invalid_grant");
  });

  live.test(`${name}: each provider has its own keys, which rotate`, async () => {
    await using one = await server.provider(ISSUER);
    await using two = await server.provider(ISSUER);
    const keysOf = async (op: RunningOp) => {
      const { jwks_uri } = await new Client(op).discovery();
      const url = jwks_uri!.replace(ISSUER, `http://127.0.0.1:${op.port}`);
      return (await (await fetch(url)).json()).keys[0].kid;
    };
    const before = await keysOf(one);
    await one.rotateKeys();
    assertEquals(new Set([before, await keysOf(one), await keysOf(two)]).size, 3);
  });

  live.test(`${name}: settings change lifetimes and leave Date out`, async () => {
    await using op = await server.provider(ISSUER);
    const response = await fetch(`http://127.0.0.1:${op.port}/.well-known/openid-configuration`);
    await response.body?.cancel();
    assert(response.headers.has("date"));
    await op.set({ accessTokenSeconds: 100, date: false });
    const client = new Client(op);
    const { expires_in } = await client.signIn(op);
    assert(expires_in === 100 || expires_in === 99, `${expires_in}`);
    const dateless = await fetch(`http://127.0.0.1:${op.port}/.well-known/openid-configuration`);
    await dateless.body?.cancel();
    assertEquals(dateless.headers.has("date"), false);
  });
}

Deno.test("the versions are those of the module files", async () => {
  const goMod = await Deno.readTextFile(
    new URL("../../support/servers/zitadel/go.mod", import.meta.url),
  );
  assert(goMod.includes(`github.com/zitadel/oidc/v3 v${ZITADEL_OIDC_VERSION}\n`));
  assertEquals(AUTHLIB_VERSION.split(".").length, 3);
});
