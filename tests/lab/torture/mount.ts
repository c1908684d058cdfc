import { succeeds } from "../../support/deno_process.ts";

/** A small file system that is mounted until it is disposed. */
export interface Mount extends AsyncDisposable {
  /** Where it is. */
  readonly folder: string;
}

/** Limits of {@linkcode mountTmpfs}. */
export interface TmpfsLimits {
  /** Its size in KiB. */
  kib: number;
  /** Its number of inodes. @default {as many as the kernel gives} */
  inodes?: number;
}

/** The size of btrfs that `mkfs.btrfs` accepts at least, with some room. */
const BTRFS_BYTES = 160 * 1024 * 1024;

/** Mounts a file system in memory, or gives `undefined` where this process may not. */
export async function mountTmpfs(
  folder: string,
  { kib, inodes }: TmpfsLimits,
): Promise<Mount | undefined> {
  const size = `mode=700,size=${kib}k`;
  const limits = inodes === undefined ? size : `${size},nr_inodes=${inodes}`;
  return await mount(folder, "-t", "tmpfs", "-o", limits, "tmpfs");
}

/**
 * Mounts a btrfs file system from an image beside the folder, with a quota of `kib` KiB for all that
 * is in it. Gives `undefined` without mkfs.btrfs, or where this process may not mount.
 */
export async function mountQuota(folder: string, kib: number): Promise<Mount | undefined> {
  const image = `${folder}.btrfs`;
  await Deno.writeFile(image, new Uint8Array());
  await Deno.truncate(image, BTRFS_BYTES);
  if (!await succeeds(["mkfs.btrfs", "--quiet", "--mixed", image])) return undefined;
  const mounted = await mount(folder, "-t", "btrfs", "-o", "loop", image);
  if (mounted === undefined) return undefined;
  const isLimited = await succeeds(["btrfs", "quota", "enable", folder]) &&
    await succeeds(["btrfs", "qgroup", "limit", `${kib}k`, folder]);
  if (isLimited) return mounted;
  await mounted[Symbol.asyncDispose]();
  return undefined;
}

async function mount(folder: string, ...args: string[]): Promise<Mount | undefined> {
  await Deno.mkdir(folder, { recursive: true });
  if (!await succeeds(["mount", ...args, folder])) return undefined;
  return {
    folder,
    async [Symbol.asyncDispose]() {
      if (!await succeeds(["umount", folder])) throw new Error(`Cannot unmount ${folder}`);
    },
  };
}
