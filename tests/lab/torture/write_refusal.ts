import type { CredentialsBackendErrorCode } from "@validmind/auth";
import { succeeds } from "../../support/deno_process.ts";
import { whyNoDenial, withoutOverride } from "../../support/run_denied.ts";

/** A way in which a store comes to refuse writes. */
export interface WriteRefusal {
  readonly name: string;
  /** The codes of the errors that name it right. */
  readonly codes: readonly CredentialsBackendErrorCode[];
  /** Why it cannot be had here. */
  readonly whyNot?: string | undefined;
  /** What has to stand before a command for the refusal to hold for it. */
  readonly prefix?: readonly string[];
  /** Options of a file system in memory for the store's folder. */
  readonly tmpfs?: string;
  /** Whether it may cost a sign-in where it begins between the provider's answer and the write. */
  readonly isOnlyEarly?: boolean;
  begin(folder: string): void;
  end(folder: string): void;
}

/** SQLite's own words name no cause of the operating system: its advice has the space. */
const FULL = ["backend_full", "backend_unavailable", "backend_denied"] as const;
const BLOCK = new Uint8Array(4096);

/** The refusals of stores that keep their entries in a folder. */
export const WRITE_REFUSALS: readonly WriteRefusal[] = [
  {
    name: "disk full",
    codes: FULL,
    tmpfs: "mode=700,size=1024k",
    begin: (folder) => {
      using file = Deno.openSync(`${folder}/filler`, { write: true, create: true });
      untilFull(() => file.writeSync(BLOCK));
    },
    end: removeFiller,
  },
  {
    name: "no inode left",
    codes: FULL,
    tmpfs: "mode=700,size=1024k,nr_inodes=64",
    begin: (folder) => {
      Deno.mkdirSync(`${folder}/filler`);
      let n = 0;
      untilFull(() => Deno.writeFileSync(`${folder}/filler/${n++}`, new Uint8Array()));
    },
    end: removeFiller,
  },
  {
    name: "folder of mode 0500",
    codes: ["backend_denied"],
    isOnlyEarly: true,
    whyNot: whyNoDenial,
    prefix: withoutOverride,
    begin: (folder) => Deno.chmodSync(folder, 0o500),
    end: (folder) => Deno.chmodSync(folder, 0o700),
  },
];

/** Mounts a file system in memory, or gives `undefined` where this process may not. */
export async function mountTmpfs(
  folder: string,
  limits: string,
): Promise<AsyncDisposable | undefined> {
  if (!await succeeds(["mount", "-t", "tmpfs", "-o", limits, "tmpfs", folder])) return undefined;
  return {
    async [Symbol.asyncDispose]() {
      if (!await succeeds(["umount", folder])) throw new Error(`Cannot unmount ${folder}`);
    },
  };
}

function untilFull(write: () => unknown): void {
  try {
    for (;;) write();
  } catch {
    // full
  }
}

function removeFiller(folder: string): void {
  Deno.removeSync(`${folder}/filler`, { recursive: true });
}
