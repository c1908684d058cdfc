// Opens each file of a folder in turn, as virus scanners of Windows do, and shares it with no writer, or
// with nobody at all, for as long as it looks. Ends when its standard input does, and says how often.
import { Random } from "./random.ts";

const [folder, seed] = Deno.args as [string, string];
const [HOLD_MS, PAUSE_MS] = [30, 100];
const [GENERIC_READ, SHARE_NOTHING, SHARE_READ, OPEN_EXISTING] = [0x80000000, 0, 1, 3];
const NO_HANDLE = 2n ** 64n - 1n;

const { symbols } = Deno.dlopen("kernel32.dll", {
  CreateFileW: {
    parameters: ["buffer", "u32", "u32", "pointer", "u32", "u32", "pointer"],
    result: "pointer",
  },
  CloseHandle: { parameters: ["pointer"], result: "i32" },
});

/** The handle of an opened file; `undefined` where it is gone, or a program shares it with nobody. */
function open(path: string, share: number): Deno.PointerValue | undefined {
  const name = Uint16Array.from([...path.split("").map((unit) => unit.charCodeAt(0)), 0]);
  const handle = symbols.CreateFileW(name, GENERIC_READ, share, null, OPEN_EXISTING, 0, null);
  return Deno.UnsafePointer.value(handle) === NO_HANDLE ? undefined : handle;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const random = new Random(Number(seed));
let isOver = false;
let held = 0;
const end = Array.fromAsync(Deno.stdin.readable).then(() => isOver = true);
while (!isOver) {
  for (const { name } of Array.from(Deno.readDirSync(folder))) {
    const handle = open(`${folder}\\${name}`, random.int(0, 1) === 0 ? SHARE_NOTHING : SHARE_READ);
    if (handle === undefined) continue;
    held++;
    await pause(random.int(1, HOLD_MS));
    symbols.CloseHandle(handle);
  }
  await pause(random.int(1, PAUSE_MS));
}
await end;
// deno-lint-ignore no-console
console.log(held);
