import ts from "typescript";

/** One change of one source that makes it wrong. */
export interface Fault {
  /** Stays the same while its line does: `backends/kv/store.ts: drop await: const row = …`. */
  readonly id: string;
  readonly file: string;
  readonly kind: string;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  /** What stands in the place of `start` to `end`. */
  readonly text: string;
}

/** Operators that are taken for each other. */
const SWAPPED = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "==="],
  [ts.SyntaxKind.LessThanToken, "<="],
  [ts.SyntaxKind.LessThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanToken, ">="],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">"],
  [ts.SyntaxKind.AmpersandAmpersandToken, "||"],
  [ts.SyntaxKind.BarBarToken, "&&"],
  [ts.SyntaxKind.PlusToken, "-"],
  [ts.SyntaxKind.MinusToken, "+"],
]);

/** An expression that gives a truth, by its look. */
const IS_TRUTH = /^(?:!|(?:\w+\.)*(?:is|has|can)[A-Z])|===|!==|[<>]=? |\.(?:has|includes|test)\(/;

/** All faults that can be put into a source. */
export function findFaults(file: string, source: string): Fault[] {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const lines = source.split("\n");
  const faults: Fault[] = [];
  const add = (kind: string, node: ts.Node, text: string) => {
    const [start, end] = [node.getStart(tree), node.getEnd()];
    const line = tree.getLineAndCharacterOfPosition(start).line;
    const column = start - tree.getPositionOfLineAndCharacter(line, 0);
    const id = `${file}: ${kind} at ${column}: ${lines[line]!.trim()}`;
    faults.push({ id, file, kind, line: line + 1, start, end, text });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    addFaults(node, tree, add);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return faults;
}

function addFaults(
  node: ts.Node,
  tree: ts.SourceFile,
  add: (kind: string, node: ts.Node, text: string) => void,
): void {
  const textOf = (part: ts.Node) => part.getText(tree);
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) {
    add("flip condition", node.expression, `!(${textOf(node.expression)})`);
    if (isGuard(node)) add("remove guard", node, ";");
  } else if (ts.isConditionalExpression(node)) {
    add("flip condition", node.condition, `!(${textOf(node.condition)})`);
  } else if (ts.isBinaryExpression(node)) {
    const other = SWAPPED.get(node.operatorToken.kind);
    if (other !== undefined) add("swap operator", node.operatorToken, other);
  } else if (ts.isAwaitExpression(node)) {
    add("drop await", node, textOf(node.expression));
  } else if (ts.isExpressionStatement(node)) {
    add("drop statement", node, ";");
  } else if (ts.isReturnStatement(node) && node.expression !== undefined) {
    if (textOf(node.expression) === "undefined") return;
    const isTruth = IS_TRUTH.test(textOf(node.expression));
    add(
      isTruth ? "negate return" : "drop result",
      node.expression,
      isTruth ? `!(${textOf(node.expression)})` : "undefined as never",
    );
  } else addConstant(node, tree, add);
}

/** A condition that only leaves. */
function isGuard(node: ts.IfStatement | ts.WhileStatement): boolean {
  if (!ts.isIfStatement(node) || node.elseStatement !== undefined) return false;
  const { thenStatement } = node;
  const last = ts.isBlock(thenStatement) ? thenStatement.statements.at(-1) : thenStatement;
  return last !== undefined &&
    (ts.isReturnStatement(last) || ts.isThrowStatement(last) || ts.isContinueStatement(last));
}

/** Another number, word or truth. Sentences are left alone: no test has to hold their words. */
function addConstant(
  node: ts.Node,
  tree: ts.SourceFile,
  add: (kind: string, node: ts.Node, text: string) => void,
): void {
  const kind = "swap constant";
  const isName = node.parent && ts.isPropertyAssignment(node.parent) && node.parent.name === node;
  if (isName) return;
  if (ts.isNumericLiteral(node)) add(kind, node, node.text === "0" ? "1" : `(${node.text} * 3)`);
  else if (node.kind === ts.SyntaxKind.TrueKeyword) add(kind, node, "false");
  else if (node.kind === ts.SyntaxKind.FalseKeyword) add(kind, node, "true");
  else if (ts.isStringLiteral(node) && /^[\w-]+$/.test(node.text)) {
    add(kind, node, JSON.stringify(`${node.getText(tree).slice(1, -1)}_`));
  }
}
