/** What a notebook's kernel offers for display. */
export type Jupyter = Pick<typeof Deno.jupyter, "broadcast">;

/** The kernel that this code runs in, if it runs in one. */
export function notebook(): Jupyter | undefined {
  try {
    return Deno.jupyter; // throws outside a kernel
  } catch {
    return undefined;
  }
}
