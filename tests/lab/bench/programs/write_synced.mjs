// As write_synced.ts, by Node's own calls.
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

export function writeSynced(path, text) {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const folder = openSync(path.slice(0, path.lastIndexOf("/")), "r");
  fsyncSync(folder);
  closeSync(folder);
}
