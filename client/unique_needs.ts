import type { PermissionNeed } from "./permission_need.ts";

/** One need for each permission, the strongest: several parts of a call may need the same. */
export function uniqueNeeds(needs: readonly PermissionNeed[]): PermissionNeed[] {
  const seen = new Map<string, PermissionNeed>();
  for (const need of needs) {
    const { reason: _, need: when, ...descriptor } = need;
    const key = JSON.stringify(descriptor);
    const earlier = seen.get(key);
    if (earlier === undefined || rank(when) < rank(earlier.need)) seen.set(key, need);
  }
  return [...seen.values()];
}

function rank(need: PermissionNeed["need"]): number {
  return ["always", "sign_in", "optional"].indexOf(need);
}
