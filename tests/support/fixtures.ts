// Old names, until the tests that are under way have the new ones.
import { type AnyErrorCode, type ErrorWithCode, rejectsWith } from "./rejects_with.ts";

export {
  oidcProviderWorld as realWorld,
  type ProviderWorld as World,
  scriptedProviderWorld as scriptedWorld,
} from "./provider_world.ts";
export { flowContext } from "./flow_context.ts";
export { providerOf } from "./provider_of.ts";
export { SpyBackend } from "./spy_backend.ts";
export { spyFetch } from "./spy_fetch.ts";
export { tokensOf } from "./entries.ts";
export { paths } from "./request_log.ts";

/** The old name and order of {@linkcode rejectsWith}. */
export function assertCode<C extends AnyErrorCode>(
  run: () => unknown,
  code: C,
  ...words: string[]
): Promise<ErrorWithCode<C>> {
  return rejectsWith(code, run, ...words);
}
