/** The program's name and specifier, as its own texts give them. */
export const PROGRAM = "validmind-auth";

export const SPECIFIER = "jsr:@validmind/auth/cli";
