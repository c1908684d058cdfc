import { backends } from "./backends.ts";
import type { Command } from "./command.ts";
import { completionsCommand } from "./completions.ts";
import { doctor } from "./doctor.ts";
import { login } from "./login.ts";
import { logout } from "./logout.ts";
import { migrate } from "./migrate.ts";
import { permissionsCommand } from "./permissions.ts";
import { status } from "./status.ts";
import { token } from "./token.ts";

const WITH_A_STORE: readonly Command[] = [login, status, token, logout, migrate, doctor, backends];
const permissions = permissionsCommand(WITH_A_STORE);
const ABOUT_STORES: readonly Command[] = [...WITH_A_STORE, permissions];

/** All commands. Parsing, help, completions and README's reference are made from this table. */
export const COMMANDS: readonly Command[] = [...ABOUT_STORES, completionsCommand(ABOUT_STORES)];
