// deno-lint-ignore no-console -- it is what this store is for
console.log("a line of the store's own, at import");

export { SqliteStore as TalkingStore } from "./sqlite_store.ts";
