// The arithmetic of CAPACITY.md, and its agreement with the measured requests.
import { assert, assertEquals } from "@std/assert";

const page = await Deno.readTextFile(new URL("../../.github/CAPACITY.md", import.meta.url));
const reliability = await Deno.readTextFile(
  new URL("../../.github/RELIABILITY.md", import.meta.url),
);

const NUMBER = String.raw`[\d,]+(?:\.\d+)?`;
const SUM = new RegExp(String.raw`(${NUMBER}(?: [×÷+] ${NUMBER})+) = (${NUMBER})`, "g");

Deno.test("each sum of CAPACITY is right", () => {
  const sums = [...page.replace(/\n/g, " ").matchAll(SUM)];
  assert(sums.length > 10);
  for (const [text, left, right] of sums) {
    const digits = right!.split(".")[1]?.length ?? 0;
    assertEquals(calculate(left!).toFixed(digits), right!.replaceAll(",", ""), text);
  }
});

Deno.test("CAPACITY counts the requests that RELIABILITY measures", () => {
  const rows = (text: string, heading: string) =>
    text.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!.split("\n")
      .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const measured = new Map(rows(reliability, "Requests").map(([name, ...cells]) => [name, cells]));
  const used = rows(page, "What one action costs").slice(1);
  assert(used.length > 3);
  for (const [name, provider, kv2, writes, kv1] of used) {
    assertEquals([provider, kv2, kv1], measured.get(name!)?.slice(0, 3), name);
    assert(Number(writes) <= Number(kv2), name);
  }
});

/** Products before sums, from left to right. */
function calculate(text: string): number {
  return text.replaceAll(",", "").split(" + ").reduce((sum, product) => {
    const [first, ...rest] = product.split(/ (?=[×÷] )/);
    return sum + rest.reduce((value, step) => {
      const factor = Number(step.slice(2));
      return step.startsWith("×") ? value * factor : value / factor;
    }, Number(first));
  }, 0);
}
