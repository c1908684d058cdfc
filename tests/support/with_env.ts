/** The variables that choose a backend. */
export const BACKEND_VARIABLES = [
  "VM_OIDC_NO_PERSIST",
  "VM_OIDC_CREDENTIALS_BACKEND",
  "VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
];

/** Runs `fn` with these variables alone among those that choose a backend, then puts all back. */
export async function withEnv<T>(
  variables: Record<string, string>,
  fn: () => T | Promise<T>,
): Promise<T> {
  const names = [...new Set([...BACKEND_VARIABLES, ...Object.keys(variables)])];
  const saved = names.map((name) => [name, Deno.env.get(name)] as const);
  for (const name of names) set(name, variables[name]);
  try {
    return await fn();
  } finally {
    for (const [name, value] of saved) set(name, value);
  }
}

function set(name: string, value: string | undefined): void {
  if (value === undefined) Deno.env.delete(name);
  else Deno.env.set(name, value);
}
