/** A time relative to now: "in 43 min", "2 h 5 min ago". */
export function formatRelative(date: Date, now: number): string {
  const ms = date.getTime() - now;
  const length = formatLength(Math.abs(ms));
  return ms < 0 ? `${length} ago` : `in ${length}`;
}

export function formatLength(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return joined(`${hours} h`, minutes % 60, "min");
  return joined(`${Math.floor(hours / 24)} d`, hours % 24, "h");
}

function joined(first: string, rest: number, unit: string): string {
  return rest === 0 ? first : `${first} ${rest} ${unit}`;
}
