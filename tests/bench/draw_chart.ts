import type { BenchSection } from "./bench_section.ts";

const [WIDTH, LABEL, ROW, TOP] = [760, 230, 26, 44];

/** A section as a bar chart that reads in light and in dark themes. */
export function drawChart({ title, unit, rows }: BenchSection): string {
  const longest = Math.max(...rows.map(({ value }) => value));
  const scale = (WIDTH - LABEL - 130) / longest;
  const bars = rows.map(({ name, value, ratio }, index) => {
    const y = TOP + index * ROW;
    const own = name.startsWith("this module");
    const length = (value * scale).toFixed(1);
    const text = `${value.toFixed(1)} ${unit}${
      ratio === undefined ? "" : ` · ${ratio.toFixed(2)} ×`
    }`;
    return `<text x="${LABEL - 8}" y="${y + 15}" text-anchor="end"${own ? ' class="own"' : ""}>${
      escape(name)
    }</text><rect x="${LABEL}" y="${y + 3}" width="${length}" height="16" rx="2" class="${
      own ? "own-bar" : "bar"
    }"/><text x="${LABEL + Number(length) + 6}" y="${y + 15}">${escape(text)}</text>`;
  });
  const height = TOP + rows.length * ROW + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${
    escape(title)
  }">
<style>text{font:12px system-ui,sans-serif;fill:#24292f}.own{font-weight:600}.title{font-size:14px;font-weight:600}.bar{fill:#8c959f}.own-bar{fill:#0969da}@media (prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#6e7681}.own-bar{fill:#58a6ff}}</style>
<text x="8" y="24" class="title">${escape(title)} (median, ${escape(unit)})</text>
${bars.join("\n")}
</svg>
`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
