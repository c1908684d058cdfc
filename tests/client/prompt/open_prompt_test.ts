// deno-lint-ignore-file no-control-regex -- what a terminal is sent has escape codes
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { formatTime } from "../../../client/prompt/prompt.ts";
import { decodeModules } from "../../support/decode_qr.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { OwnStreams, type OwnStreamsOptions } from "../../support/own_streams.ts";
import { type ProviderWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";

type World = ProviderWorld<ScriptedProvider>;

/** What a person sees of a sign-in on standard error; the answer of the provider may be spoilt. */
async function shown(
  { options, provider }: World,
  streams: OwnStreamsOptions = {},
  device: Record<string, unknown> = {},
): Promise<string> {
  const { onDeviceCode: _, ...own } = options;
  using written = new OwnStreams(streams);
  provider.script.device.push(() => provider.device(device));
  await createSession(own).catch(() => undefined);
  assertEquals(written.written.stdout, "");
  return written.written.stderr;
}

/** The lines of a log up to the end of the sign-in. */
function log({ provider: { issuer }, clock }: World, query: string): string {
  return `Sign in at ${issuer}\n` +
    `  1. Open this page      ${issuer}/activate${query}\n` +
    "  2. Confirm this code   WDJB-MJHT\n" +
    `Waiting for your approval (the code ends at ${formatTime(clock.now() + 600_000)}) …\n`;
}

test("prompt in a log: plain lines on standard error", async (world) => {
  const { provider, clock } = world;
  for (const query of ["", "?user_code=WDJB-MJHT"]) {
    const expected = log(world, query) +
      `Signed in as analyst@example.com. The token is valid until ${
        formatTime(clock.now() + 3601_000)
      } and stored in the memory of this process.\n`;
    const verification_uri_complete = query && `${provider.issuer}/activate${query}`;
    assertEquals(await shown(world, {}, { verification_uri_complete }), expected);
    world.backend.delete(world.key);
  }
  const id_token = await provider.idToken({
    email: undefined,
    name: undefined,
    sub: "ada\x1b[31m\u202e",
  });
  provider.script.token.push(() => provider.tokens({ refresh_token: undefined, id_token }));
  const text = await shown(world);
  assertStringIncludes(text, "Signed in as ada [31m. The token");
  assertStringIncludes(text, "offline_access");
});

const ENDS: [end: (provider: ScriptedProvider) => void, words: RegExp][] = [
  [(provider) => provider.deny(), /…\nNot signed in: the sign-in was refused\. Did the page/],
  [(provider) => provider.expireDeviceCodes(), /…\nNot signed in: the time for it is over\. Try/],
  [(provider) => {
    provider.script.token.push(() => provider.tokens({ access_token: "" }));
  }, /…\nThe sign-in did not come to its end: see the error\.\n$/],
];

Deno.test("prompt in a log: the end that is no sign-in", async () => {
  for (const [end, words] of ENDS) {
    await using world = await scriptedProviderWorld();
    world.provider.autoApprove = false;
    world.clock.onDelay = () => end(world.provider);
    assertMatch(await shown(world), words);
  }
});

test("prompt in a kernel without display support: the plain lines, where the cell shows them", async (world) => {
  const { error } = console;
  const lines: string[] = [];
  Object.assign(console, { error: (text: string) => void lines.push(text) });
  try {
    using kernel = new FakeKernel();
    kernel.onDisplay = () => {
      throw new Error("no display");
    };
    const { onDeviceCode: _, ...options } = world.options;
    await createSession(options);
  } finally {
    Object.assign(console, { error });
  }
  assertEquals(lines.length, 2);
  assertStringIncludes(lines[0]!, "  2. Confirm this code   WDJB-MJHT\n");
  assertMatch(lines[1]!, /^Signed in as .*\.$/);
});

test("prompt in a terminal: a code to scan above the lines of a log, where it fits", async (world) => {
  const verification_uri_complete = `${world.provider.issuer}/activate?user_code=WDJB-MJHT`;
  const at = async (columns: number, rows: number, TERM = "xterm") => {
    world.backend.delete(world.key);
    Deno.env.set("TERM", TERM);
    return await shown(world, { terminal: { columns, rows } }, { verification_uri_complete });
  };
  const expected = log(world, "?user_code=WDJB-MJHT");
  const text = await at(80, 40);
  const [code, rest] = text.split("\n\n");
  assertEquals(code!.includes("\x1b[38;5;231;48;5;16m"), !Deno.noColor);
  const lines = code!.replace(/\x1b\[[\d;]*m/g, "").split("\n");
  const modules = lines.map((line) => line.slice(2)).flatMap((line) => [
    [...line].map((character) => !"█▀".includes(character)),
    [...line].map((character) => !"█▄".includes(character)),
  ]);
  assertEquals(decodeModules(modules), verification_uri_complete);
  assert(rest!.startsWith(expected), rest);
  const [width, height] = [lines[0]!.length + 2, lines.length + 7];
  assertEquals((await at(width, height)).startsWith("Sign in at"), false);
  for (const [columns, rows] of [[width - 1, height], [width, height - 1], [0, 0]] as const) {
    assertMatch(await at(columns, rows), /^Sign in at /);
  }
  assertMatch(await at(80, 40, "dumb"), /^Sign in at /);
});
