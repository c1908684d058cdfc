import ts from "typescript";
import { fromFileUrl } from "@std/path";
import { parse, readSource, sourceFiles } from "./rooms.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const LIBRARY = `${ROOT}promise.d.ts`;

/** As much of the language's types as tells a promise from other values. */
const PROMISE = `
interface PromiseLike<T> { then<A = T, B = never>(a?: (value: T) => A | PromiseLike<A>, b?: (error: any) => B | PromiseLike<B>): Promise<A | B> }
interface Promise<T> extends PromiseLike<T> { catch<B = never>(b?: (error: any) => B | PromiseLike<B>): Promise<T | B> }
interface PromiseConstructor { all(all: any): Promise<any>; race(all: any): Promise<any>; resolve<T>(value?: T): Promise<T>; try(...all: any): Promise<any> }
declare const Promise: PromiseConstructor;
type Awaited<T> = T extends PromiseLike<infer U> ? Awaited<U> : T;
interface Array<T> { [index: number]: T }
`;

/**
 * The promises of the product that nobody waits for, and those that a `try` or a `using` returns without
 * waiting, so that it ends before them. One that is kept, or that `void` marks, is none.
 */
export async function droppedPromises(change = (_file: string, source: string): string => source) {
  const files = await sourceFiles();
  const sources = new Map([[LIBRARY, PROMISE + await denoTypes()]]);
  for (const file of files) sources.set(ROOT + file, change(file, await readSource(file)));
  const program = ts.createProgram([...sources.keys()], { noLib: true, strict: true }, {
    ...hostOf(sources),
    getSourceFile: (path) => parse(sources.get(path)!, path),
  });
  const checker = program.getTypeChecker();
  const found: string[] = [];
  for (const file of files) {
    const visit = (node: ts.Node): void => {
      const value = droppedBy(node);
      if (value !== undefined && hasThen(checker.getTypeAtLocation(value))) {
        found.push(`${file}: ${node.getText().split("\n", 1)[0]}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(program.getSourceFile(ROOT + file)!);
  }
  return found;
}

async function denoTypes(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["types"] }).output();
  return new TextDecoder().decode(stdout);
}

function hostOf(sources: ReadonlyMap<string, string>): Omit<ts.CompilerHost, "getSourceFile"> {
  const resolved = (name: string, from: string) => {
    if (!name.startsWith(".")) return { resolvedModule: undefined };
    const resolvedFileName = fromFileUrl(new URL(name, new URL(from, "file:")));
    return { resolvedModule: { resolvedFileName, extension: ts.Extension.Ts } };
  };
  return {
    resolveModuleNameLiterals: (names, from) => names.map(({ text }) => resolved(text, from)),
    fileExists: (path) => sources.has(path),
    readFile: (path) => sources.get(path),
    getDefaultLibFileName: () => LIBRARY,
    getCurrentDirectory: () => ROOT,
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    writeFile: () => {},
  };
}

/** The value that a statement drops, or returns too early. */
function droppedBy(node: ts.Node): ts.Expression | undefined {
  if (ts.isReturnStatement(node) && endsEarly(node)) return node.expression;
  if (!ts.isExpressionStatement(node) || ts.isBinaryExpression(node.expression)) return undefined;
  return node.expression;
}

/** Whether something is done between a return and the end of its function: a catch, or a disposal. */
function endsEarly(node: ts.Node): boolean {
  const { parent } = node;
  if (parent === undefined || ts.isFunctionLike(node)) return false;
  const isTried = ts.isTryStatement(parent) && parent.finallyBlock !== node &&
    (parent.tryBlock === node || parent.finallyBlock !== undefined);
  const isUsed = ts.isBlock(node) && node.statements.some(isUsing);
  return isTried || isUsed || endsEarly(parent);
}

function isUsing(statement: ts.Statement): boolean {
  return ts.isVariableStatement(statement) &&
    (statement.declarationList.flags & ts.NodeFlags.Using) === ts.NodeFlags.Using;
}

function hasThen(type: ts.Type): boolean {
  return type.isUnion() ? type.types.some(hasThen) : type.getProperty("then") !== undefined;
}
