// deno-lint-ignore-file no-control-regex -- a terminal is sent escape codes
import { escapeHtml } from "../../../client/prompt/prompt.ts";

const STYLE = `
  body { margin: 0 }
  main { display: inline-block; padding: 16px 18px 18px; border-radius: 10px;
    background: #1e2227; color: #d5dae0 }
  header { display: flex; gap: 7px; margin-bottom: 12px }
  header i { width: 11px; height: 11px; border-radius: 50%; background: #4a515b }
  pre { margin: 0; font: 14.95px/1 "DejaVu Sans Mono", monospace }
  pre > div { min-height: 21px; line-height: 21px; max-width: 84ch; white-space: pre-wrap;
    word-break: break-all }
  pre > .qr { height: 16.5px; min-height: 0; white-space: pre; line-height: 16.5px; width: max-content; background: #000; color: #fff }
  b { color: #fff }
`;

/** A terminal's window with a command and what it was sent, with the few codes that a prompt uses. */
export function terminalHtml(command: string, sent: string): string {
  const lines = sent.replaceAll("\r\n", "\n").split("\n").map(lineHtml);
  return `<!doctype html><style>${STYLE}</style><main><header><i></i><i></i><i></i></header>` +
    `<pre><div>$ ${command}</div>${lines.join("")}</pre></main>`;
}

function lineHtml(line: string): string {
  const text = line.slice(line.lastIndexOf("\r") + 1);
  const qr = /^( *)\x1b\[38;5;231;48;5;16m(.*)\x1b\[0m$/.exec(text);
  if (qr !== null) return `<div class="qr" style="margin-left:${qr[1]!.length}ch">${qr[2]}</div>`;
  const html = text.split(/(\x1b\[\d+m)/).map((part) => TAGS[part] ?? keepSpaces(part)).join("");
  return `<div>${html}</div>`;
}

const TAGS: Record<string, string> = {
  "\x1b[1m": "<b>",
  "\x1b[2m": `<span style="opacity:.75">`,
  "\x1b[22m": "</b></span>",
};

/** What is printable is trimmed, and here the space at the ends counts. */
function keepSpaces(text: string): string {
  const [, before = "", middle = "", after = ""] = /^( *)(.*?)( *)$/.exec(text) ?? [];
  return before + escapeHtml(middle, Infinity) + after;
}
