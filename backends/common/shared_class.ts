/** Lets `instanceof` know the errors of another copy of this module. */
// deno-lint-ignore ban-types
export function knowCopies(ownClass: Function & { prototype: Error }, name: string): void {
  Object.defineProperty(ownClass, "name", { value: name }); // also in minified code
  const mark = Symbol.for(`@validmind/auth ${name}`);
  Object.defineProperties(ownClass.prototype, {
    name: { value: name, configurable: true, writable: true },
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
