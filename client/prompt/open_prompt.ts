import { notebook } from "./notebook.ts";
import { openTextPrompt } from "./text_prompt.ts";
import type { Prompt, PromptOptions } from "./prompt.ts";

/**
 * Asks the person to sign in, where the person is: in the output of a notebook cell, else on
 * standard error, so that a command's own output stays clean.
 */
export async function openPrompt(options: PromptOptions): Promise<Prompt> {
  const jupyter = notebook();
  if (jupyter === undefined) return await openTextPrompt(options);
  try {
    const { NotebookPrompt } = await import("./notebook_prompt.ts");
    return await NotebookPrompt.open(jupyter, options);
  } catch {
    return await openTextPrompt(options); // a kernel without display support
  }
}
