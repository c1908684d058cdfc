import { assertStringIncludes } from "@std/assert";
import type { HubKernel } from "./hub_kernel.ts";
import type { HubWorld } from "./hub_world.ts";
import type { UnixUser } from "./unix_users.ts";

/** Signs a person in from a Deno kernel, by the code that the cell shows. */
export async function signInFrom(
  kernel: HubKernel,
  { provider, loginOf }: HubWorld,
  user: UnixUser,
): Promise<void> {
  const cell = kernel.send(
    `import * as vm from "jsr:@validmind/auth"; const session = await vm.init();`,
  );
  const shown = await cell.waitFor(({ type }) => type === "display_data");
  const [code] = /[A-Z]{4}-[A-Z]{4}/.exec(shown.content.data!["text/plain"]!)!;
  await provider.approve(code, { login: loginOf(user) });
  const isEnd = ({ content: { data } }: { content: { data?: Record<string, string> } }) =>
    /Signed in as/.test(data?.["text/plain"] ?? "");
  const { content } = await cell.waitFor(isEnd);
  assertStringIncludes(content.data!["text/plain"]!, loginOf(user));
}
