import { printable } from "../../../backends/common/printable.ts";
import type { Policy } from "./policy.ts";

/** One question of Deno. The value is `null` where all of a permission is meant. */
export interface Access {
  readonly permission: string;
  readonly value: string | null;
}

/** Something that grants, and its name for people. */
export interface Grantor {
  readonly by: string;
  readonly policy: Policy;
}

/** The answer, and the rule that it goes by. */
export interface Verdict {
  readonly isAllowed: boolean;
  readonly rule: string;
}

/** Permissions whose scope is a path. */
const PATHS: readonly string[] = ["read", "write", "ffi"];

/** Deno's name for the place of a new file in the temporary folder. */
const TEMPORARY = "<TMP>";

/** Decides by what several parties grant. Whatever nobody grants is denied. */
export class Rules {
  readonly #rules: readonly Rule[];
  readonly #guarded: readonly string[];

  /** @param guarded Paths that decide over these rules. Nobody can grant writing them. */
  constructor(grantors: readonly Grantor[], guarded: readonly string[] = []) {
    this.#rules = grantors.flatMap(rulesOf);
    this.#guarded = guarded.map(targetOf);
  }

  decide({ permission, value }: Access): Verdict {
    const place = PATHS.includes(permission) && value !== null ? targetOf(value) : value;
    const isNew = value === TEMPORARY; // and so nothing that is there
    if (permission === "write" && place !== null && !isNew && this.#isGuarded(place)) {
      return { isAllowed: false, rule: "it decides what this kernel may do" };
    }
    const rule = this.#rules.find((one) =>
      one.permission === permission &&
      (one.scope === null || place !== null && covers(permission, one.scope, place))
    );
    if (rule === undefined) return { isAllowed: false, rule: "no rule names it" };
    return { isAllowed: true, rule: rule.words };
  }

  /** A file that decides, or a folder above it: renaming that would replace the file. */
  #isGuarded(place: string): boolean {
    return this.#guarded.some((path) => isWithin(place, path) || isWithin(path, place));
  }
}

/** One permission that somebody grants. */
interface Rule {
  readonly permission: string;
  /** For a path its target, as it is when the kernel starts. `null` for all. */
  readonly scope: string | null;
  readonly words: string;
}

function rulesOf({ by, policy }: Grantor): Rule[] {
  return Object.entries(policy).flatMap(([permission, granted]): Rule[] => {
    if (granted === true) {
      return [{ permission, scope: null, words: `${by}: all of ${permission}` }];
    }
    return (granted || []).map((scope) => ({
      permission,
      scope: PATHS.includes(permission) ? targetOf(scope) : scope,
      words: `${by}: ${permission} ${scope}`,
    }));
  });
}

function covers(permission: string, rule: string, value: string): boolean {
  if (permission === "net" || permission === "import") return coversHost(rule, value);
  if (permission === "env") {
    return rule.endsWith("*") ? value.startsWith(rule.slice(0, -1)) : value === rule;
  }
  if (permission === "sys") return value === rule;
  return PATHS.includes(permission) && isWithin(value, rule);
}

/** A rule without a port is for every port, as Deno has it; `*.` stands for one or more labels. */
function coversHost(rule: string, value: string): boolean {
  if (/^unix:/.test(rule) || /^(unix|vsock):/.test(value)) return rule === value;
  const [host, port] = splitHost(rule);
  const [valueHost, valuePort] = splitHost(value);
  if (port !== undefined && port !== valuePort) return false;
  return host.startsWith("*.") ? valueHost.endsWith(host.slice(1)) : host === valueHost;
}

function splitHost(text: string): [host: string, port: string | undefined] {
  const [, host = text, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text) ?? [];
  return [host.toLowerCase().replace(/\.$/, ""), port];
}

/** Whether a path is another one or below it. */
function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/**
 * The path that is really meant: Deno asks for the path of a link and opens its target. Parts that are
 * not there yet stay as they are. A link to nothing, which a write would follow, and a path that cannot
 * be resolved get a character that no path has: no rule covers them.
 */
export function targetOf(path: string): string {
  if (path === TEMPORARY) return targetOf(Deno.env.get("TMPDIR") || "/tmp");
  const missing: string[] = [];
  let rest = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  rest = rest.replace(/(.)\/+$/, "$1");
  for (;;) {
    try {
      const real = Deno.realPathSync(rest);
      return missing.length === 0 ? real : `${real === "/" ? "" : real}/${missing.join("/")}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) return `\0${path}`;
      if (isLink(rest)) return `\0${path}`;
    }
    const cut = rest.lastIndexOf("/");
    missing.unshift(rest.slice(cut + 1));
    rest = rest.slice(0, cut) || "/";
  }
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

/** The access as a person reads it. */
export function describeAccess({ permission, value }: Access): string {
  return `${permission} ${value === null ? "(all)" : printable(value, 200)}`;
}
