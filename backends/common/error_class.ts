/** Lets `instanceof` know the errors of another copy of this module. */
// deno-lint-ignore ban-types
export function knowCopies(ownClass: Function & { prototype: Error }, name: string): void {
  Object.defineProperty(ownClass, "name", { value: name }); // also in minified code
  const mark = Symbol.for(`@validmind/auth ${name}`);
  Object.defineProperties(ownClass.prototype, {
    name: { value: name },
    [mark]: { value: true },
  });
  const hasInstance = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(ownClass, Symbol.hasInstance, {
    value(error: unknown): boolean {
      const isMarked = this === ownClass && error instanceof Error && mark in error;
      return isMarked || hasInstance.call(this, error);
    },
  });
}

/** Puts the code of an error into its name, which Deno prints for an uncaught error. */
export function showCode(error: Error & { readonly code: string }): void {
  const value = `${error.name} [${error.code}]`;
  Object.defineProperty(error, "name", { value, configurable: true, writable: true });
  showCaller(error);
}

/**
 * Lets the stack of an error begin in the caller's cell or file. The frames come from another object: once
 * the stack of an error was read, Deno prints those frames for an uncaught error, whatever is set later.
 */
export function showCaller(error: Error): void {
  const trace = { stack: "" };
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = Infinity; // of which the caller's are the last
  Error.captureStackTrace(trace);
  Error.stackTraceLimit = limit;
  setFrames(error, framesOf(trace.stack).slice(0, limit));
}

function decoded(url: string) {
  try {
    return decodeURIComponent(url);
  } catch {
    return url; // a folder whose name is not UTF-8
  }
}

/** The frames of a stack that are not of this module. */
export function framesOf(stack: string): string[] {
  const [, ...frames] = stack.split("\n    at ");
  const own = ownCode();
  return frames.filter((frame) => !own.some((folder) => frame.includes(folder)));
}

/** The code of this module in the frames of a stack: Deno decodes the URLs there, and Node does not. */
function ownCode() {
  return ["backends/", "client/"].flatMap((folder) => {
    const url = URL.parse(`../../${folder}`, import.meta.url)?.href;
    return url === undefined ? [] : [url, decoded(url)];
  });
}

/** The message is one line there: of an uncaught error Deno prints the message, and its stack from line 2. */
export function setFrames(error: Error, frames: readonly string[]): void {
  const message = error.message.replaceAll(/\s*\n\s*/g, " ");
  error.stack = [`${error.name}: ${message}`, ...frames].join("\n    at ");
}
