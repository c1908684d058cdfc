/** Puts a value in the place of a property until it is disposed of. */
export function replace<T extends object, K extends keyof T>(object: T, name: K, value: T[K]) {
  const original = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, { value, configurable: true, writable: true });
  return {
    [Symbol.dispose]() {
      Reflect.deleteProperty(object, name);
      if (original !== undefined) Object.defineProperty(object, name, original);
    },
  };
}
