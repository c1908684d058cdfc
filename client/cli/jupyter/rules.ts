import { normalize } from "@std/path/posix/normalize";
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
  /** The working directories of the kernel so far: a relative path is meant from one of them. */
  readonly #folders = new Set([Deno.cwd()]);

  /** @param guarded Paths that decide over these rules. Nobody can grant writing them. */
  constructor(grantors: readonly Grantor[], guarded: readonly string[] = []) {
    this.#rules = grantors.flatMap(rulesOf);
    this.#guarded = guarded.map(targetOf);
  }

  /**
   * Decides by each place that a value may mean: all have to be granted.
   *
   * @param folder The kernel's working directory; where that is not known, each folder that it was let
   * read may be it.
   */
  decide(access: Access, folder?: string): Verdict {
    const { permission, value } = access;
    if (folder !== undefined) this.#folders.add(folder);
    const places = PATHS.includes(permission) && value !== null ? this.#placesOf(value) : [value];
    const verdicts = places.map((place) => this.#decide(access, place));
    const denied = verdicts.find(({ isAllowed }) => !isAllowed);
    if (denied !== undefined) return denied;
    if (folder === undefined && permission === "read") {
      for (const place of places) if (place !== null && isFolder(place)) this.#folders.add(place);
    }
    return verdicts[0]!;
  }

  /**
   * Deno asks for a path as the code has it, and opens it from the working directory that it had before
   * the question. It takes "name/.." out unread, also where `name` is a link or not there.
   */
  #placesOf(value: string): string[] {
    if (value === TEMPORARY) return [targetOf(value)];
    const paths = value.startsWith("/")
      ? [value]
      : [...this.#folders].map((folder) => `${folder}/${value}`);
    const hasParent = value.split("/").includes("..");
    return paths.flatMap((path) =>
      hasParent ? [targetOf(normalize(path)), targetOf(path)] : [targetOf(path)]
    );
  }

  #decide({ permission, value }: Access, place: string | null): Verdict {
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
 * not there yet stay as they are. A link to nothing, which a write would follow, a path that leads through
 * the parent of a folder that is not there, and one that cannot be resolved get a character that no path
 * has: no rule covers them.
 */
export function targetOf(path: string): string {
  if (path === TEMPORARY) return targetOf(Deno.env.get("TMPDIR") || "/tmp");
  const missing: string[] = [];
  let rest = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  rest = rest.replace(/(.)\/+$/, "$1");
  for (;;) {
    try {
      const real = Deno.realPathSync(rest);
      if (missing.includes("..")) return `\0${path}`;
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

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
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
