import jsqr from "jsqr";

/** Reads a QR code from its modules, `true` for dark, as a scanner would from a picture of them. */
export function decodeModules(modules: readonly (readonly boolean[])[]): string | undefined {
  const scale = 4;
  const width = Math.max(...modules.map((row) => row.length)) * scale;
  const height = modules.length * scale;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isDark = modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] ?? false;
      pixels.set(isDark ? [0, 0, 0, 255] : [255, 255, 255, 255], (y * width + x) * 4);
    }
  }
  return decodePixels(pixels, width, height);
}

/** Reads a QR code from a picture in RGBA. */
export function decodePixels(pixels: Uint8ClampedArray, width: number, height: number) {
  return jsqr.default(pixels, width, height)?.data;
}
