// Functions that run in a page, where Deno's types are not the right ones. Each is handed over as
// its own text, so it uses nothing of this file.

/** Every text below an element that can be seen: its size and its contrast, as WCAG 2.2 has it. */
export function seenTexts(root) {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parse = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => {
    const [alpha] = front.slice(3);
    return [...[0, 1, 2].map((i) => front[i] * alpha + back[i] * (1 - alpha)), 1];
  };
  const behind = (node) => {
    if (node === null) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(node.parentElement));
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...root.querySelectorAll("*")].flatMap((node) => {
    const texts = [...node.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE);
    const text = texts.map((one) => one.data).join("").trim();
    if (text === "" || !node.checkVisibility() || /^(style|script)$/i.test(node.tagName)) return [];
    const style = getComputedStyle(node);
    const back = behind(node);
    const [less, more] = [over(parse(style.color), back), back].map(luminance).sort((a, b) =>
      a - b
    );
    return [{ text, size: parseFloat(style.fontSize), contrast: (more + 0.05) / (less + 0.05) }];
  });
}

/** The pixels of a PNG. */
export async function pixelsOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(bitmap, 0, 0);
  return { width, height, pixels: [...canvas.getImageData(0, 0, width, height).data] };
}

/** Names other places in all texts of the page. */
export function renamedIn(pairs) {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const [from, to] of pairs) {
      const { data } = texts.currentNode;
      if (data.includes(from)) texts.currentNode.data = data.replaceAll(from, to);
    }
  }
}
