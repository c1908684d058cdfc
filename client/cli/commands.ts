import { backends } from "./commands/backends.ts";
import type { Command } from "./command.ts";
import { config } from "./commands/config.ts";
import { completionsCommand } from "./commands/completions.ts";
import { doctor } from "./commands/doctor.ts";
import { helpCommand } from "./commands/help.ts";
import { list } from "./commands/list.ts";
import { login } from "./commands/login.ts";
import { logout } from "./commands/logout.ts";
import { migrate } from "./commands/migrate.ts";
import { permissionsCommand } from "./commands/permissions.ts";
import { status } from "./commands/status.ts";
import { token } from "./commands/token.ts";

const WITH_A_STORE: readonly Command[] = [
  login,
  status,
  list,
  token,
  logout,
  migrate,
  doctor,
  backends,
  config,
];
const permissions = permissionsCommand(WITH_A_STORE);
const ABOUT_STORES: readonly Command[] = [...WITH_A_STORE, permissions];

const completions = completionsCommand(() => COMMANDS);
const help = helpCommand([...ABOUT_STORES, completions]);

/** All commands. Parsing, help, completions and the reference are made from this table. */
export const COMMANDS: readonly Command[] = [...ABOUT_STORES, completions, help];
