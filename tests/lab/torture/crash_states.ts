/** A change that a file system was asked for, or a demand to make earlier ones durable. */
export type FileEffect =
  /** Names in folders: a file's number, or `undefined` for a name that went away. All or none. */
  | { kind: "names"; changes: readonly NameChange[] }
  | { kind: "data"; file: number; offset: number; bytes: Uint8Array }
  | { kind: "size"; file: number; size: number }
  | { kind: "sync file"; file: number }
  | { kind: "sync folder"; folder: string }
  /** The caller was told that all is done. */
  | { kind: "acknowledged" };

/** A name that appears in a folder, or goes away. */
export interface NameChange {
  folder: string;
  name: string;
  /** `"folder"` for a folder. */
  file: number | "folder" | undefined;
}

/** What a disk holds: the bytes of each file by its path, `"folder"` for a folder. */
export type DiskState = ReadonlyMap<string, Uint8Array | "folder">;

/** A disk after a power cut. */
export interface CrashState {
  readonly disk: DiskState;
  /** Whether the power was cut after the caller was told that all is done. */
  readonly isAcknowledged: boolean;
}

/** How much of one change has reached the disk. */
type Reach = "none" | "all" | "half" | "length alone";

type Change = Extract<FileEffect, { kind: "names" | "data" | "size" }>;

/**
 * All states of a disk that POSIX allows after a power cut during some changes. A change that was not
 * made durable may be there or not, whatever became of the others; of the bytes of a write there may
 * be all, none, the first half, or zeros in their place. A file's `fsync` makes its bytes durable, a
 * folder's its names.
 */
export function* crashStates(
  before: DiskState,
  files: ReadonlyMap<string, number>,
  effects: readonly FileEffect[],
): Generator<CrashState> {
  const seen = new Set<string>();
  for (let end = 0; end <= effects.length; end++) {
    const past = effects.slice(0, end);
    const isAcknowledged = past.some(({ kind }) => kind === "acknowledged");
    for (const reaches of reachesOf(past)) {
      const disk = diskAfter(before, files, reaches);
      const name = `${isAcknowledged} ${describe(disk)}`;
      if (seen.has(name)) continue;
      seen.add(name);
      yield { disk, isAcknowledged };
    }
  }
}

/** Every way in which some changes may have reached the disk. */
function* reachesOf(past: readonly FileEffect[]): Generator<[Change, Reach][]> {
  const changes = past.flatMap((effect, at) =>
    isChange(effect) ? [{ effect, reaches: possibleReaches(effect, past.slice(at + 1)) }] : []
  );
  const total = changes.reduce((product, { reaches }) => product * reaches.length, 1);
  for (let number = 0; number < total; number++) {
    let rest = number;
    yield changes.map(({ effect, reaches }) => {
      const reach = reaches[rest % reaches.length]!;
      rest = Math.floor(rest / reaches.length);
      return [effect, reach];
    });
  }
}

function isChange(effect: FileEffect): effect is Change {
  return effect.kind === "names" || effect.kind === "data" || effect.kind === "size";
}

function possibleReaches(change: Change, later: readonly FileEffect[]): Reach[] {
  if (change.kind === "names") {
    const isDurable = change.changes.every(({ folder }) =>
      later.some((effect) => effect.kind === "sync folder" && effect.folder === folder)
    );
    return isDurable ? ["all"] : ["none", "all"];
  }
  const isDurable = later.some((effect) =>
    effect.kind === "sync file" && effect.file === change.file
  );
  if (isDurable) return ["all"];
  return change.kind === "size" ? ["none", "all"] : ["none", "all", "half", "length alone"];
}

function diskAfter(
  before: DiskState,
  files: ReadonlyMap<string, number>,
  reaches: readonly [Change, Reach][],
): DiskState {
  const names = new Map<string, number | "folder">();
  const contents = new Map<number, Uint8Array>();
  for (const [path, content] of before) {
    if (content === "folder") names.set(path, content);
    else {
      names.set(path, files.get(path)!);
      contents.set(files.get(path)!, content);
    }
  }
  for (const [change, reach] of reaches) {
    if (reach === "none") continue;
    if (change.kind === "names") {
      for (const { folder, name, file } of change.changes) {
        const path = `${folder}/${name}`;
        if (file === undefined) names.delete(path);
        else names.set(path, file);
      }
    } else contents.set(change.file, written(contents.get(change.file), change, reach));
  }
  const reachable = [...names].filter(([path]) => isReachable(path, names));
  return new Map(
    reachable.map(([path, file]) => [
      path,
      file === "folder" ? file : contents.get(file) ?? new Uint8Array(),
    ]),
  );
}

function written(
  before: Uint8Array = new Uint8Array(),
  change: Exclude<Change, { kind: "names" }>,
  reach: Reach,
): Uint8Array {
  if (change.kind === "size") return resized(before, change.size);
  const { offset, bytes } = change;
  const kept = reach === "half" ? bytes.subarray(0, bytes.length >> 1) : bytes;
  const after = resized(before, Math.max(before.length, offset + kept.length));
  if (reach !== "length alone") after.set(kept, offset);
  return after;
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(size);
  result.set(bytes.subarray(0, size));
  return result;
}

/** A file is lost with a folder of its path whose own name has not reached the disk. */
function isReachable(path: string, names: ReadonlyMap<string, unknown>): boolean {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return folder === "" || (names.get(folder) === "folder" && isReachable(folder, names));
}

function describe(disk: DiskState): string {
  const lines = [...disk].map(([path, content]) =>
    `${path} ${content === "folder" ? content : content.toBase64()}`
  );
  return lines.sort().join("\n");
}
