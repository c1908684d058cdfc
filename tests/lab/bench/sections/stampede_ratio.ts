import { stampede } from "../../torture/stampede.ts";
import type { BenchOptions, BenchSection } from "../bench_section.ts";

/** 64 processes at once on one expired token, and the same with a valid one. */
export async function stampedeRatio({ folder, effort }: BenchOptions): Promise<BenchSection> {
  const count = Math.max(3, Math.ceil(10 * effort));
  const { figures, failures } = await stampede({ count, processes: 64, seed: 0, folder });
  if (failures.length > 0) throw new Error(`Cannot measure the stampede: ${failures[0]}`);
  const base = "64 starts with a valid token";
  const [valid, expired] = ["valid", "expired"].map((name) =>
    Number(figures[`median ms, ${name}`])
  );
  const ratio = Number(figures["median ratio"]);
  return {
    title: "64 processes at once",
    unit: "ms",
    base,
    rows: [
      { name: base, value: valid!, ratio: 1 },
      { name: "64 starts with one expired token", value: expired!, ratio, bar: 1.2 },
    ],
  };
}
