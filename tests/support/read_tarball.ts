/**
 * The text files in a gzipped tarball whose name `wanted` accepts, by name.
 *
 * Runs before any dependency of deno.json can be resolved, hence the specifier with its version.
 */
export async function readTarball(
  tarball: Uint8Array,
  wanted: (name: string) => boolean = () => true,
): Promise<Map<string, string>> {
  // Loaded only when there is something to unpack.
  // deno-lint-ignore no-import-prefix
  const { parseTarGzip } = await import("npm:nanotar@0.3.0");
  const items = await parseTarGzip(tarball, { filter: ({ name }) => wanted(name) });
  return new Map(items.map(({ name, text }) => [name, text]));
}
