import type { CredentialsBackendErrorCode } from "@validmind/auth";
import { whyNoDenial, withoutOverride } from "../../support/run_denied.ts";
import { fillInodes, fillUpTo, removeFiller } from "./filler.ts";
import { type Mount, mountQuota, mountTmpfs } from "./mount.ts";
import type { Random } from "./random.ts";

/** A way in which a store comes to refuse writes. */
export interface WriteRefusal {
  readonly name: string;
  /** The code of the error that names it right. */
  readonly code: CredentialsBackendErrorCode;
  /** Those of SQLite's own words, which name no cause of the operating system: its advice has the space. */
  readonly codesOfSqlite?: readonly CredentialsBackendErrorCode[];
  /** Why it cannot be had here. */
  readonly whyNot?: string | undefined;
  /** What has to stand before a command for the refusal to hold for it. */
  readonly prefix?: readonly string[];
  /** Gives the store's folder a file system of its own. */
  readonly mount?: (folder: string) => Promise<Mount | undefined>;
  /**
   * The stores that lose a sign-in where the refusal begins between the provider's answer and the write,
   * for a documented reason.
   */
  readonly isOnlyEarly?: readonly string[];
  begin(folder: string, random: Random): void;
  end(folder: string): void;
}

/** As much as any of the stores here needs, and soon filled. */
const KIB = 1024;
const INODES = 64;
const PAGE_BYTES = 4096;

const disk: WriteRefusal = {
  name: "disk full",
  code: "backend_full",
  codesOfSqlite: ["backend_unavailable", "backend_denied"],
  mount: (folder) => mountTmpfs(folder, { kib: KIB }),
  begin: (folder, random) => fillUpTo(folder, PAGE_BYTES * random.int(0, 1)),
  end: removeFiller,
};

const inodes: WriteRefusal = {
  name: "no inode left",
  code: "backend_full",
  codesOfSqlite: ["backend_unavailable", "backend_denied"],
  mount: (folder) => mountTmpfs(folder, { kib: KIB, inodes: INODES }),
  begin: fillInodes,
  end: removeFiller,
};

const quota: WriteRefusal = {
  name: "quota used up",
  code: "backend_full",
  codesOfSqlite: ["backend_unavailable", "backend_denied"],
  isOnlyEarly: ["file", "kv"], // btrfs copies on write, so that not even the temp file can be written
  mount: (folder) => mountQuota(folder, KIB),
  begin: (folder) => fillUpTo(folder, 0),
  end: removeFiller,
};

const folderMode: WriteRefusal = {
  name: "folder of mode 0500",
  code: "backend_denied",
  isOnlyEarly: ["file"],
  whyNot: whyNoDenial,
  prefix: withoutOverride,
  begin: (folder) => Deno.chmodSync(folder, 0o500),
  end: (folder) => Deno.chmodSync(folder, 0o700),
};

const version: WriteRefusal = {
  name: "file of version 99",
  code: "backend_version",
  isOnlyEarly: ["file"],
  begin: (folder) => setVersion(folder, 99),
  end: (folder) => setVersion(folder, 1),
};

/** The refusals of each store that keeps its entries in a folder. */
export const WRITE_REFUSALS: Record<string, readonly WriteRefusal[]> = {
  file: [disk, inodes, quota, folderMode, version],
  kv: [disk, inodes, quota, folderMode],
};

function setVersion(folder: string, version: number): void {
  const path = `${folder}/credentials.json`;
  const document = JSON.parse(Deno.readTextFileSync(path));
  Deno.writeTextFileSync(path, JSON.stringify({ ...document, version }));
}
