import { assertEquals } from "@std/assert";
import { crashStates, type DiskState, type FileEffect } from "./crash_states.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const BEFORE: DiskState = new Map<string, Uint8Array | "folder">([
  ["/d", "folder"],
  ["/d/file", bytes("old")],
]);
const FILES = new Map([["/d/file", 1]]);

const create: FileEffect = {
  kind: "names",
  changes: [{ folder: "/d", name: "temp", file: 2 }],
};
const write: FileEffect = { kind: "data", file: 2, offset: 0, bytes: bytes("fresh!") };
const syncFile: FileEffect = { kind: "sync file", file: 2 };
const syncFolder: FileEffect = { kind: "sync folder", folder: "/d" };
const rename: FileEffect = {
  kind: "names",
  changes: [
    { folder: "/d", name: "temp", file: undefined },
    { folder: "/d", name: "file", file: 2 },
  ],
};
const acknowledged: FileEffect = { kind: "acknowledged" };

/** What "file" may hold, after the acknowledgement or before. */
function contents(effects: FileEffect[], isAfter: boolean): string[] {
  const found = new Set<string>();
  for (const { disk, isAcknowledged } of crashStates(BEFORE, FILES, effects)) {
    if (isAcknowledged !== isAfter) continue;
    found.add(new TextDecoder().decode(disk.get("/d/file") as Uint8Array));
  }
  return [...found].sort();
}

Deno.test("a file that is synced before its rename is old or new", () => {
  const effects = [create, write, syncFile, rename, syncFolder, acknowledged];
  assertEquals(contents(effects, false), ["fresh!", "old"]);
  assertEquals(contents(effects, true), ["fresh!"]);
});

Deno.test("without a sync of the folder, an acknowledged rename may be lost", () => {
  const effects = [create, write, syncFile, rename, acknowledged];
  assertEquals(contents(effects, true), ["fresh!", "old"]);
});

Deno.test("without a sync of the file, a rename may show any part of it", () => {
  const effects = [create, write, rename, syncFolder, acknowledged];
  assertEquals(contents(effects, true), ["", "\0\0\0\0\0\0", "fre", "fresh!"]);
});

Deno.test("a file is lost with its folder", () => {
  const effects: FileEffect[] = [
    { kind: "names", changes: [{ folder: "", name: "new", file: "folder" }] },
    { kind: "names", changes: [{ folder: "/new", name: "file", file: 2 }] },
    { kind: "sync folder", folder: "/new" },
    acknowledged,
  ];
  const states = [...crashStates(BEFORE, FILES, effects)].filter((one) => one.isAcknowledged);
  assertEquals(states.map(({ disk }) => disk.has("/new/file")).sort(), [false, true]);
});
