/** Replaces a file in such a way that a power cut leaves the old or the new one. */
export function writeSynced(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  using file = Deno.openSync(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  file.writeSync(new TextEncoder().encode(text));
  file.syncSync();
  Deno.renameSync(temporary, path);
  using folder = Deno.openSync(path.slice(0, path.lastIndexOf("/")));
  folder.syncSync();
}
