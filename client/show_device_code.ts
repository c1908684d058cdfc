import type { DeviceCode } from "./init_options.ts";
import { printable } from "./printable.ts";

/**
 * Asks the person to sign in, where the person is: in the output of a notebook cell, else on
 * standard error, so that a command's own output stays clean.
 */
export async function showDeviceCode(code: DeviceCode): Promise<void> {
  await show(promptText(code), promptHtml(code));
}

/** Tells the person something in the same place. */
export async function showNotice(text: string): Promise<void> {
  await show(`${printable(text, 500)}\n`);
}

function promptText(code: DeviceCode): string {
  const minutes = Math.max(1, Math.round((code.expiresAt.getTime() - Date.now()) / 60_000));
  return [
    `Sign in at ${printable(code.issuer)}`,
    `  1. Open this page      ${code.verificationUriComplete ?? code.verificationUri}`,
    `  2. Confirm this code   ${code.userCode}`,
    `Waiting for your approval (the code ends in ${minutes} min) …`,
    "",
  ].join("\n");
}

function promptHtml(code: DeviceCode): string {
  const link = escapeHtml(code.verificationUriComplete ?? code.verificationUri);
  return `<p>Sign in at ${escapeHtml(printable(code.issuer))}: open ` +
    `<a href="${link}" target="_blank" rel="noopener noreferrer">${link}</a> and confirm this ` +
    `code:</p><p><code style="font-size:2em">${escapeHtml(code.userCode)}</code></p>`;
}

async function show(text: string, html?: string): Promise<void> {
  const jupyter = notebook();
  if (jupyter !== undefined) {
    const data = { "text/plain": text, ...(html !== undefined && { "text/html": html }) };
    await jupyter.broadcast("display_data", { data, metadata: {}, transient: {} });
    return;
  }
  await Deno.stderr.write(new TextEncoder().encode(text));
}

/** The notebook's own channel: a kernel's standard error is seen by nobody. */
function notebook(): typeof Deno.jupyter | undefined {
  try {
    return Deno.jupyter; // throws outside a kernel
  } catch {
    return undefined;
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
