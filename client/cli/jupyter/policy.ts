import { parseObject } from "../../../backends/common/printable.ts";
import { checkDescriptor } from "../../format_permissions.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { UsageError } from "../usage_error.ts";
import { readTrustedFile } from "./trusted_file.ts";

/** The names in a policy: those of a permission set in `deno.json`. */
export const POLICY_NAMES = ["read", "write", "net", "env", "sys", "import", "ffi", "run"] as const;

export type PolicyName = typeof POLICY_NAMES[number];

/** What somebody grants, by the name of the permission: everything, or what the list names. */
export type Policy = Readonly<Partial<Record<PolicyName, boolean | readonly string[]>>>;

/**
 * Reads a policy: one JSON object in the form of a permission set, such as
 * `{"read": ["${HOME}/data"], "net": ["data.example.com:443"]}`. `${NAME}` stands for a variable.
 *
 * @param place The flag that names the file, for errors.
 */
export function readPolicy(path: string, place: string): Policy {
  const document = parseObject(readTrustedFile(path, place));
  const fault = (reason: string) =>
    new UsageError(
      `Cannot use ${path} of ${place}: ${reason}. Give one JSON object such as ` +
        `{"read": ["\${HOME}/data"], "net": ["data.example.com:443"]}, with any of ` +
        `${POLICY_NAMES.join(", ")}.`,
    );
  if (document === undefined) throw fault("it is not one JSON object");
  const entries = Object.entries(document).map(([name, value]) => {
    if (!(POLICY_NAMES as readonly string[]).includes(name)) {
      throw fault(`"${name.replace(/[^\w-]/g, "?").slice(0, 40)}" is no permission`);
    }
    if (typeof value === "boolean") return [name, value];
    const isList = Array.isArray(value) && value.every((one) => typeof one === "string" && one);
    if (!isList) throw fault(`"${name}" is neither true or false nor a list of texts`);
    if (name === "run") {
      throw fault(`"run" is true or false: a program does whatever you can do yourself`);
    }
    return [
      name,
      value.map((one: string) =>
        expand(one, (variable) => fault(`"${name}" uses \${${variable}}, which is not set`))
      ),
    ];
  });
  return Object.fromEntries(entries);
}

function expand(text: string, unset: (variable: string) => UsageError): string {
  return text.replace(/\$\{(\w+)\}/g, (_, variable: string) => {
    const value = Deno.env.get(variable);
    if (value) return value;
    throw unset(variable);
  });
}

/** The policy that grants these needs and no more. */
export function policyOf(needs: readonly PermissionNeed[]): Policy {
  const policy: Partial<Record<PolicyName, string[]>> = {};
  for (const need of needs) {
    const { name, scope } = checkDescriptor(need, "this module");
    // A program cannot be told from another one: a browser or a keychain's helper grants no shell.
    if (name === "run" || scope === undefined) continue;
    (policy[name] ??= []).push(scope);
  }
  return policy;
}
