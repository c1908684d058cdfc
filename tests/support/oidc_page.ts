import { escapeHtml } from "../../client/prompt/prompt.ts";

/** A page of the test provider: no script and nothing loaded from elsewhere. */
export function oidcPage(title: string, content: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,">
  <title>${escapeHtml(title)}</title>
  <style>
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem; }
    input, button { font: inherit; padding: .5rem .8rem; margin: .3rem .3rem .3rem 0; }
    code { font-size: 1.6rem; letter-spacing: .1em; }
  </style>
</head>
<body>
  <h1>${escapeHtml(title)}</h1>
  ${content}
</body>
</html>`;
}
