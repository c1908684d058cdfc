import type { ProfiledProgram } from "./profile_programs.ts";
import { DENOS, type Place, PLACES } from "./read_profile.ts";

/** The page of `deno task bench --profile`: a table of places, and what it comes to in words. */
export function formatProfile(programs: readonly ProfiledProgram[]): string {
  const width = Math.max(...Object.values(PLACES).map(({ length }) => length));
  const row = (title: string, cells: readonly string[]) =>
    [title.padEnd(width), ...cells.map((cell) => cell.padStart(24))].join("  ").trimEnd();
  const rows = (Object.entries(PLACES) as [Place, string][]).map(([place, title]) =>
    row(
      title,
      programs.map(({ places }) => {
        const { median, quartiles: [lower, upper] } = places[place];
        return `${ms(median)} (${ms(lower)}–${ms(upper)})`;
      }),
    )
  );
  return [
    "Milliseconds of V8's profiler, medians with quartiles, so that they do not add up exactly",
    row("", programs.map(({ name }) => name)),
    ...rows,
    "",
    ...programs.flatMap(wordsOf),
  ].join("\n");
}

function wordsOf(
  { name, process, instructions, places, functions }: ProfiledProgram,
): string[] {
  const sum = (of: readonly Place[]) => of.reduce((all, place) => all + places[place].median, 0);
  const [denos, own, others] = [sum(DENOS), sum(["modules", "functions"]), sum(["others"])];
  const all = denos + own + others || 1;
  const share = (part: number) => `${ms(part)} ms (${Math.round(100 * part / all)} %)`;
  const counted = instructions === undefined
    ? ""
    : ` and ${ms(instructions.median)} million instructions`;
  return [
    `${name} takes ${
      ms(process.median)
    } ms${counted} without the profiler. In the profile, after ` +
    `its beginning, ${share(denos)} are Deno's, ${share(own)} this module's and ${share(others)} ` +
    `of others.`,
    ...functions.map(([title, median]) => `  ${ms(median).padStart(6)}  ${title}`),
    "",
  ];
}

function ms(value: number): string {
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
