import { createSession, init, type Session, type SessionOptions } from "@validmind/auth";
import { scriptedProviderWorld, type ScriptedWorld } from "../../support/provider_world.ts";

/** A world with a signed-in session. */
export type Context = ScriptedWorld & { session: Session };

/** A test with a session of `init`, whose API was asked for nothing but the ping. */
export function apiTest(
  name: string,
  run: (context: Context) => Promise<void>,
  options: SessionOptions = {},
): void {
  Deno.test(`api: ${name}`, {
    sanitizeOps: true, // not even a timer may be left
    sanitizeResources: true,
  }, async () => {
    await using world = await scriptedProviderWorld();
    // On a busy machine a sign-in would not keep within the time limit of a test about it.
    if (options.timeoutMs !== undefined) await createSession(world.options);
    const own = { ...world.options, ...options };
    const session = options.timeoutMs === undefined
      ? await init({ ...own, model: "cl-1" })
      : await createSession(own);
    world.api.reset();
    await run(Object.assign(Object.create(world), { session }));
  });
}

/** The status of an answer whose body nobody reads. */
export async function finish(response: Promise<Response>): Promise<number> {
  const { status, body } = await response;
  await body?.cancel();
  return status;
}
