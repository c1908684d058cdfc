import { assertEquals } from "@std/assert";
import { startDeno } from "../../../support/deno_process.ts";
import { isToldWords } from "../faults.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

/** Sets the clock of a program by so many milliseconds. */
const SET_CLOCK = `
  const { offMs, ...options } = JSON.parse(Deno.args[0]);
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...args) { args.length > 0 ? super(...args) : super(Real.now() + offMs); }
    static now() { return Real.now() + offMs; }
  };
`;

/** A program that signs in and refreshes, and says what became of it. */
const PROGRAM = `${SET_CLOCK}
  const { createSession, MemoryCredentialsBackend } = await import("@validmind/auth");
  const say = (line) => console.log(JSON.stringify(line));
  try {
    await using session = await createSession({
      ...options,
      credentialsBackend: new MemoryCredentialsBackend(),
      onDeviceCode: say,
    });
    const first = await session.accessToken();
    const second = await session.accessToken({ forceRefresh: true });
    const { signedIn, expiresAt } = await session.status();
    const endsInSeconds = Math.round((Number(expiresAt) - Real.now()) / 1000);
    say({ isNew: first !== second, isSignedIn: signedIn, endsInSeconds });
  } catch ({ code, message, cause }) {
    say({ code, message, cause: cause?.message });
  }
`;

const AHEAD = 400_000;
/** Longer than providers let a proof of DPoP be off. */
const DPOP_OFF = 90_000;

/** The computer's clock is off. */
export const CLOCK_ROWS = {
  async "clock 400 s ahead"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await worksAt(AHEAD, world);
  },

  async "clock 400 s behind"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await worksAt(-AHEAD, world);
  },

  async "clock off with DPoP"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "dpop");
    await worksAt(-DPOP_OFF, world);
  },

  async "clock off with DPoP, and no word of the time"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, "dpop");
    const told = await signInAt(-DPOP_OFF, world);
    isToldWords(
      world,
      "The clock is off, with DPoP",
      told as unknown as { code: string; message: string },
    );
  },
} satisfies Record<string, Row>;

/**
 * Asserts that a sign-in and a refresh work where the clock is off by so many milliseconds. Returns the
 * seconds until the stored end of the token, by a clock that is right.
 */
export async function worksAt(offMs: number, world: MatrixWorld): Promise<number> {
  const { endsInSeconds, ...word } = await signInAt(offMs, world);
  assertEquals(word, { isNew: true, isSignedIn: true });
  return Number(endsInSeconds);
}

/** The last word of a program whose clock is off by so many milliseconds. */
async function signInAt(
  offMs: number,
  { client: { clientId }, provider, provider: { issuer } }: MatrixWorld,
): Promise<Record<string, unknown>> {
  const options = { issuer, clientId, offMs, dpop: clientId === provider.client("dpop").clientId };
  await using child = startDeno({ code: PROGRAM, flags: ["-A"], args: [JSON.stringify(options)] });
  let line = JSON.parse(await child.line());
  if (line.userCode !== undefined) {
    await provider.approve(line);
    line = JSON.parse(await child.line());
  }
  await child.end();
  return line;
}
