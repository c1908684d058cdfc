import { quoteArgument } from "../../../backends/common/platform.ts";
import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { whileHeld } from "../../../backends/common/read_private_file.ts";
import { fileError } from "../../../backends/file/file_access.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const PATH = "/home/ana maria/.validmind/credentials.json";

const KINDS: [error: unknown, code: CredentialsBackendErrorCode, reason: string][] = [
  [new Deno.errors.NotCapable("x"), "permission_required", "Deno does not permit it"],
  [new Deno.errors.PermissionDenied("x"), "backend_denied", "the operating system denies it"],
  [withCode("ENOSPC"), "backend_full", "no space is left"],
  [new Error("Disk quota exceeded (os error 122)"), "backend_full", "no space is left"],
  [new Deno.errors.NotFound("x"), "backend_unavailable", "its folder is missing"],
  [withCode("EROFS"), "backend_unavailable", "of the system (EROFS)"],
  [new TypeError("odd"), "backend_unavailable", "TypeError"],
  ["text", "backend_unavailable", "unknown error"],
];

function withCode(code: string): Error {
  return Object.assign(new Error("of the system (os error 1): open 'x'"), { code });
}

for (const [cause, code, reason] of KINDS) {
  Deno.test(`fileError tells ${code} by: ${reason}`, { permissions: "none" }, () => {
    const error = fileError("write", PATH, cause);
    assertEquals(error.code, code);
    assert(error.message.startsWith(`Cannot write ${PATH}: ${reason}. `), error.message);
    assertStrictEquals(error.cause, cause);
  });
}

Deno.test("on a drive of Windows that is not there nothing is stored, and a write says so", {
  ignore: Deno.build.os !== "windows",
}, async () => {
  const backend = new FileCredentialsBackend({ path: "Q:\\tokens\\c.json" });
  assertEquals(backend.get(KEY), undefined);
  await backend.delete(KEY);
  const { message } = await rejectsWith("backend_unavailable", () => backend.put(KEY, entry()));
  assertStringIncludes(message, "its folder is missing. Make the folder, or use another path.");
});

Deno.test("fileError passes on what has a code already", { permissions: "none" }, () => {
  const coded = new CredentialsBackendError("backend_locked", "Cannot lock: held. Wait.");
  assertStrictEquals(fileError("write", PATH, coded), coded);
});

Deno.test("fileError names the folder in the flags, since a file is replaced by renaming another", {
  permissions: "none",
}, () => {
  const flags = (path: string) =>
    /Run with: (.*)$/.exec(fileError("read", path, new Deno.errors.NotCapable("x")).message)
      ?.[1];
  assertEquals(flags("/data/c.json"), "--allow-read=/data --allow-write=/data");
  assertEquals(flags("/c.json"), "--allow-read=/ --allow-write=/");
  assertEquals(flags("c.json"), "--allow-read=. --allow-write=.");
  assertEquals(
    flags("/my data/c.json"),
    ["read", "write"].map((name) => quoteArgument(`--allow-${name}=/my data`)).join(" "),
  );
});

Deno.test(
  "fileError names the folder that Deno asks for, where a link leads to the one of the path",
  { permissions: "none" },
  () => {
    const flags = (asked: string) => {
      const cause = new Deno.errors.NotCapable(
        `Requires read access to "${asked}", run again with`,
      );
      return /Run with: (.*)$/.exec(fileError("read", "/home/a/.validmind/c.json", cause).message)
        ?.[1];
    };
    assertEquals(flags("/data/a/c.json"), "--allow-read=/data/a --allow-write=/data/a");
    const own = "--allow-read=/home/a/.validmind --allow-write=/home/a/.validmind";
    assertEquals(flags("/home/a/.validmind"), own); // of the folder itself, a wider grant is too much
  },
);

Deno.test(
  "whileHeld waits on Windows for a program that has the file open, and ends after 40 tries",
  { permissions: "none" },
  () => {
    const attempts = (onWindows: boolean, fault: Error, faults: number) => {
      let tries = 0;
      const access = () => {
        if (++tries <= faults) throw fault;
      };
      try {
        whileHeld(access, onWindows);
        return `${tries} tries`;
      } catch (error) {
        assertStrictEquals(error, fault);
        return `${tries} tries, thrown`;
      }
    };
    assertEquals(attempts(true, withCode("EBUSY"), 2), "3 tries");
    assertEquals(attempts(true, withCode("EBUSY"), 99), "40 tries, thrown");
    assertEquals(attempts(true, new Deno.errors.PermissionDenied("held"), 2), "3 tries");
    assertEquals(attempts(true, new Deno.errors.NotFound("gone"), 1), "1 tries, thrown");
    assertEquals(attempts(false, withCode("EBUSY"), 1), "1 tries, thrown");
  },
);
