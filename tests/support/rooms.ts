import ts from "typescript";
import { walk } from "@std/fs/walk";
import { fromFileUrl, relative } from "@std/path";
import { denoInfo } from "./deno_process.ts";

/**
 * The rooms, in order: a file imports from its own room and from the rooms above it, whether the
 * import is of a value, of a type, or lazy. A room is a folder or a file that is public.
 */
export const ROOMS: readonly string[] = `
  backends/oidc_credentials_backend.ts
  backends/common/error_class.ts
  backends/credentials_backend_error.ts
  backends/common/ backends/memory.ts
  backends/file/ backends/file.ts
  backends/kv/ backends/kv.ts
  backends/keychain/ backends/keychain.ts
  backends/vault/ backends/vault.ts
  backends/encrypted/ backends/encrypted.ts
  backends/fallback.ts
  backends/helper/ backends/helper.ts
  backends/testing/ backends/testing.ts
  backends/is_expired.ts backends/migrate_credentials.ts
  backends/load/ backends/resolve_credentials_backend.ts
  client/errors.ts client/entry/ client/credential_key.ts
  client/format_permissions.ts
  client/session.ts client/auth_event.ts client/session_options.ts
  client/options/ client/permissions/ client/prompt/ client/provider/ client/sign_in/
  client/api/ client/tokens/ client/signed_in/
  client/create_session.ts client/init.ts
  mod.ts
  client/cli/ client/cli.ts
`.trim().split(/\s+/);

const ROOT = new URL("../../", import.meta.url);
/** An import of one own file by another. Paths start at the repository's root. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
}

interface Dependency {
  code?: { specifier?: string };
  type?: { specifier?: string };
}

/** All imports between the files that are published, as Deno's module graph has them. */
export async function readArrows(): Promise<Arrow[]> {
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const found = new Map<string, Arrow>();
  for (const entry of Object.values<string>(config.exports)) {
    const { modules } = await denoInfo<{
      modules: { specifier: string; dependencies?: Dependency[] }[];
    }>([entry]);
    for (const { specifier, dependencies = [] } of modules) {
      for (const { code, type } of dependencies) {
        const to = code?.specifier ?? type?.specifier ?? "";
        if (!specifier.startsWith(ROOT.href) || !to.startsWith(ROOT.href)) continue;
        const arrow = { from: inRoot(specifier), to: inRoot(to) };
        found.set(`${arrow.from} ${arrow.to}`, arrow);
      }
    }
  }
  return [...found.values()];
}

function inRoot(url: string): string {
  return url.slice(ROOT.href.length);
}

/** The position of a file's room in {@linkcode ROOMS}; -1 for a file in none. */
export function roomOf(file: string): number {
  return ROOMS.findIndex((room) => file === room || (room.endsWith("/") && file.startsWith(room)));
}

/** The files that are published, by path from the repository's root. */
export async function sourceFiles(): Promise<string[]> {
  const files = ["mod.ts"];
  for (const folder of ["backends", "client"]) {
    for await (const { path } of walk(new URL(folder, ROOT), { exts: [".ts"] })) {
      files.push(relative(fromFileUrl(ROOT), path).replaceAll("\\", "/"));
    }
  }
  return files.sort();
}

/** The text of a file that is published. */
export async function readSource(file: string): Promise<string> {
  return await Deno.readTextFile(new URL(file, ROOT));
}

/** The sources that were parsed, by their text: that takes longer than all that is asked of one. */
const parsed = new Map<string, ts.SourceFile>();

/** The syntax of a source, without its comments. */
export function parse(source: string, path = "source.ts"): ts.SourceFile {
  const options = {
    languageVersion: ts.ScriptTarget.Latest,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
  };
  const file = parsed.get(source) ?? ts.createSourceFile(path, source, options);
  parsed.set(source, file);
  return file;
}

/** The tokens of a source, without its comments: what a reader has to take in. */
export function tokens(source: string): number {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, true, undefined, source);
  return tokensOf(parse(source), scanner);
}

/** The tokens of a node, and the keywords and signs between its parts, which have no nodes of their own. */
function tokensOf(node: ts.Node, scanner: ts.Scanner): number {
  if (node.kind === ts.SyntaxKind.EndOfFileToken || node.pos === node.end) return 0;
  if (node.kind <= ts.SyntaxKind.LastToken) return 1;
  let [count, at] = [0, node.pos];
  ts.forEachChild(node, (part) => {
    count += tokensBetween(at, part.pos, scanner) + tokensOf(part, scanner);
    at = part.end;
  });
  return count + tokensBetween(at, node.end, scanner);
}

function tokensBetween(start: number, end: number, scanner: ts.Scanner): number {
  let count = 0;
  scanner.resetTokenState(start);
  while (scanner.getTokenEnd() < end && scanner.scan() !== ts.SyntaxKind.EndOfFileToken) {
    if (scanner.getTokenEnd() <= end) count++;
  }
  return count;
}

/** How many modules a source loads later. */
export function lazyImports(source: string): number {
  return source.match(/\bimport\(\s*["'`]/g)?.length ?? 0;
}

/**
 * How many loops of a source wait or catch in each round, or have no end of their own: such a loop may try
 * for ever. Those over the members of something are left out.
 */
export function openLoops(source: string): number {
  let found = 0;
  const visit = (node: ts.Node) => {
    const isFor = ts.isForStatement(node);
    const isLoop = isFor || ts.isWhileStatement(node) || ts.isDoStatement(node);
    const isEndless = isFor && node.condition === undefined;
    if (isEndless || isLoop && triesIn(node.statement)) found++;
    ts.forEachChild(node, visit);
  };
  visit(parse(source));
  return found;
}

function triesIn(node: ts.Node): boolean {
  if (ts.isFunctionLike(node)) return false;
  const isTry = ts.isAwaitExpression(node) || ts.isTryStatement(node);
  return isTry || (ts.forEachChild(node, triesIn) ?? false);
}

/** The lines of a source that are neither empty nor a comment. */
export function codeLines(source: string): number {
  let [count, isInComment] = [0, false];
  for (const line of source.split("\n").map((line) => line.trim())) {
    if (isInComment) isInComment = !line.includes("*/");
    else if (line.startsWith("/*")) isInComment = !line.includes("*/");
    else if (line !== "" && !line.startsWith("//")) count++;
  }
  return count;
}
