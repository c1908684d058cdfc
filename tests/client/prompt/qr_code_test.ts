import { assert, assertEquals } from "@std/assert";
import { qrCode, qrLines, qrSvg } from "../../../client/prompt/qr_code.ts";
import { decodeModules } from "../../support/decode_qr.ts";

const PAGE = "https://login.example.com/activate?user_code=WDJB-MJHT";

Deno.test("qrLines: what a terminal shows can be scanned", async () => {
  const lines = qrLines(await qrCode(PAGE));
  const modules = lines.flatMap((line) => [
    [...line].map((character) => !"█▀".includes(character)),
    [...line].map((character) => !"█▄".includes(character)),
  ]);
  assertEquals(decodeModules(modules), PAGE);
  assertEquals(new Set(lines.map(({ length }) => length)).size, 1);
  assert(lines[0]!.length <= 80, "a long page does not fit on a usual terminal");
});

Deno.test("qrSvg: what the path draws can be scanned, with a quiet zone around", async () => {
  const svg = qrSvg(await qrCode(PAGE), "QR code");
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)![1]);
  const modules = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const dark = /fill="#000" d="([^"]+)"/.exec(svg)![1]!;
  for (const [, x, y, length] of dark.matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g)) {
    for (let i = 0; i < Number(length); i++) modules[Number(y)]![Number(x) + i] = true;
  }
  assertEquals(decodeModules(modules), PAGE);
  const isEmpty = (line: boolean[]) => line.every((dark) => !dark);
  assert(modules.slice(0, 4).every(isEmpty) && modules.slice(-4).every(isEmpty));
  assert(modules.every((row) => isEmpty(row.slice(0, 4)) && isEmpty(row.slice(-4))));
});
