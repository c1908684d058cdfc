import { assert, assertEquals } from "@std/assert";
import { KEYRING_VERSION, libraryPath, locateLibrary } from "../../backends/keychain_library.ts";

Deno.test("the library is of the release that deno.json names, and is there", async () => {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
  assertEquals(imports["@napi-rs/keyring"], `npm:@napi-rs/keyring@${KEYRING_VERSION}`);
  assert((await Deno.stat(libraryPath!)).size > 100_000);
});

Deno.test("a platform without a library has no path, and is no error yet", async () => {
  assertEquals(await locateLibrary("sparc-sun-solaris"), undefined);
});
