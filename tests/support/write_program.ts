const WRITE = 'printf %s "$1" > "$0.new"; chmod 755 "$0.new"; mv "$0.new" "$0"';

/**
 * Writes a program for a POSIX shell, by a process of its own. A file that this process has open for
 * writing is open for a moment in each child that another test starts meanwhile, too, and the system
 * does not run such a file ("Text file busy").
 */
export function writeProgram(path: string, text: string): void {
  const { success, stderr } = new Deno.Command("sh", { args: ["-ec", WRITE, path, text] })
    .outputSync();
  if (!success) throw new Error(`Cannot write ${path}: ${new TextDecoder().decode(stderr)}`);
}
