import { isGranted } from "../../backends/common/permission.ts";

/** The tables of this host's connections, on Linux. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/**
 * Whether the other end of a connection is a process of this user, or of the superuser. `undefined` where
 * nothing tells: only Linux does, and only with every permission.
 *
 * Not for a request that needs no answer: its sender may be gone from the table by now.
 */
export function isOwnConnection({ localAddr, remoteAddr }: Deno.TcpConn): boolean | undefined {
  const mayLook = TABLES.every((path) => isGranted({ name: "read", path })) &&
    isGranted({ name: "sys", kind: "uid" });
  if (Deno.build.os !== "linux" || !mayLook) return undefined;
  try {
    const owners = ownersOf(inTable(remoteAddr), inTable(localAddr));
    if (owners.length === 0) return undefined;
    return owners.every((uid) => uid === 0 || uid === Deno.uid());
  } catch {
    return undefined;
  }
}

/** The users of the connections from one of some addresses to one of others. */
function ownersOf(from: readonly string[], to: readonly string[]): number[] {
  return TABLES.flatMap((path) => Deno.readTextFileSync(path).split("\n"))
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local = "", remote = ""]) => from.includes(local) && to.includes(remote))
    .map(([, , , , , , , uid]) => Number(uid));
}

/** How the tables write an address: words of 32 bits, whose bytes little-endian machines turn round. */
function inTable({ hostname, port }: Deno.NetAddr): string[] {
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  const at = `:${hex(port, 4)}`;
  if (hostname === "::1") return [`${"0".repeat(24)}01000000${at}`];
  const address = hostname.split(".").map((part) => hex(Number(part), 2)).reverse().join("");
  return [address + at, `${"0".repeat(16)}FFFF0000${address}${at}`];
}
