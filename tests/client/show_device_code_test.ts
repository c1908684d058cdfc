import { assertEquals, assertStringIncludes } from "@std/assert";
import { runDeno } from "../support/run_script.ts";
import { startOidcProvider } from "../support/oidc_provider.ts";
import { startScriptedProvider } from "../support/scripted_provider.ts";

const SHOW = new URL("../../client/show_device_code.ts", import.meta.url).href;
const MOD = new URL("../../mod.ts", import.meta.url).href;
const CODE = {
  verificationUri: "https://login.example.com/activate",
  userCode: "WDJB-MJHT",
  issuer: "https://login.example.com",
};

/** Shows a code in a child; `jupyter` stands in for a notebook's kernel. */
async function show(code: Record<string, unknown>, jupyter = false) {
  const script = `
    import { showDeviceCode, showNotice } from ${JSON.stringify(SHOW)};
    const code = JSON.parse(Deno.args[0]);
    const calls = [];
    if (${jupyter}) {
      const broadcast = (...args) => (calls.push(args), Promise.resolve());
      const fake = Object.create(Deno, { jupyter: { value: { broadcast } } });
      Object.defineProperty(globalThis, "Deno", { value: fake });
    }
    await showDeviceCode({ ...code, expiresAt: new Date(Date.now() + code.seconds * 1000) });
    await showNotice("Signed in\\x1b[31m as <b>");
    if (${jupyter}) console.log(JSON.stringify(calls));
  `;
  const args = [JSON.stringify({ ...CODE, seconds: 600, ...code })];
  return await runDeno({ code: script, args });
}

Deno.test("showDeviceCode: standard error only, plain text, without any permission", async () => {
  const { code, stdout, stderr } = await show({});
  assertEquals([code, stdout], [0, ""]);
  assertEquals(
    stderr,
    "Sign in at https://login.example.com\n" +
      "  1. Open this page      https://login.example.com/activate\n" +
      "  2. Confirm this code   WDJB-MJHT\n" +
      "Waiting for your approval (the code ends in 10 min) …\n" +
      "Signed in [31m as <b>\n",
  );
});

Deno.test("showDeviceCode: the complete page where there is one, and still the code", async () => {
  const verificationUriComplete = "https://login.example.com/activate?user_code=WDJB-MJHT";
  const { stderr } = await show({ verificationUriComplete, seconds: 3 });
  assertStringIncludes(stderr, `Open this page      ${verificationUriComplete}\n`);
  assertStringIncludes(stderr, "Confirm this code   WDJB-MJHT");
  assertStringIncludes(stderr, "ends in 1 min");
});

Deno.test("showDeviceCode: in a notebook it is the cell's output, as text and as HTML", async () => {
  const hostile = `<img src=x onerror="alert('1')">&`;
  const { stdout, stderr } = await show(
    { userCode: hostile, issuer: `https://a/${hostile}` },
    true,
  );
  assertEquals(stderr, "");
  const [[type, content], notice] = JSON.parse(stdout);
  assertEquals(type, "display_data");
  assertStringIncludes(content.data["text/plain"], hostile);
  const html = content.data["text/html"];
  assertStringIncludes(
    html,
    `<a href="https://login.example.com/activate" target="_blank" rel="noopener noreferrer">`,
  );
  assertEquals(html.includes("<img"), false);
  assertEquals(/<(?!\/?(p|a|code)\b)/.test(html), false);
  assertEquals(notice[1].data, { "text/plain": "Signed in [31m as <b>\n" });
});

/** Signs in in a child with the built-in prompt, whose output is what a person sees. */
async function signIn(issuer: string, clientId: string) {
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const [issuer, clientId] = Deno.args;
    const session = await vm.createSession({ issuer, clientId,
      credentialsBackend: new vm.MemoryCredentialsBackend(), delay: () => Promise.resolve() });
    console.log("done");
  `;
  const { host } = new URL(issuer);
  return await runDeno({ code, args: [issuer, clientId], flags: [`--allow-net=${host}`] });
}

Deno.test("signInByDevice: the person reads what to do and then who is signed in", async () => {
  await using provider = await startOidcProvider({ interval: 0.01 });
  provider.autoApprove = true;
  const { stdout, stderr } = await signIn(provider.issuer, provider.clientId);
  assertEquals(stdout, "done\n");
  assertStringIncludes(
    stderr,
    `Sign in at ${provider.issuer}\n  1. Open this page      ${provider.issuer}`,
  );
  assertStringIncludes(
    stderr,
    "\nSigned in as analyst@example.com. Tokens are kept in the memory of this process.\n",
  );
  assertEquals(/\p{C}/u.test(stderr.replaceAll("\n", "")), false);
});

Deno.test("signInByDevice: no refresh token is told, with what to do about it", async () => {
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  const claims = { email: undefined, preferred_username: "ada\x1b[31m" };
  const id_token = await provider.idToken(claims);
  provider.script.token.push(() => provider.tokens({ refresh_token: undefined, id_token }));
  const { stderr } = await signIn(provider.issuer, provider.clientId);
  assertStringIncludes(stderr, "Signed in as ada [31m. Tokens");
  assertStringIncludes(stderr, "offline_access");
});
