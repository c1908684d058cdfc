import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  KEYRING_VERSION,
  libraryPath,
  locateLibrary,
  openKeychainLibrary,
} from "../../../backends/keychain/library.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("the library is of the release that deno.json names, and is there", async () => {
  const config = await Deno.readTextFile(new URL("../../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
  assertEquals(imports["@napi-rs/keyring"], `npm:@napi-rs/keyring@${KEYRING_VERSION}`);
  assert((await Deno.stat(libraryPath!)).size > 100_000);
});

Deno.test("a platform without a library has no path, and is no error yet", async () => {
  assertEquals(await locateLibrary("sparc-sun-solaris"), undefined);
});

Deno.test("the library does not load without its one permission, and does with it", async () => {
  const code = `
    import { libraryPath, openKeychainLibrary } from "${backendUrl("keychain/library.ts")}";
    try {
      console.log(typeof (await openKeychainLibrary(libraryPath)).AsyncEntry);
    } catch (error) {
      console.log(error.code, error.message);
    }
  `;
  const denied = await runDeno({ code });
  assertStringIncludes(denied.stdout, "permission_required Cannot use the OS keychain");
  assertStringIncludes(denied.stdout, `--allow-ffi=${libraryPath}`);
  const allowed = await runDeno({ code, flags: [`--allow-ffi=${libraryPath}`] });
  assertEquals(allowed.stdout, "function\n", allowed.stderr);
});

Deno.test("no library, and one that is none, are errors that say so", async () => {
  await rejectsWith(
    "backend_unavailable",
    () => openKeychainLibrary(import.meta.filename),
    "does not load",
  );
  await rejectsWith("backend_unavailable", () => openKeychainLibrary(undefined), Deno.build.target);
});
