import { assertEquals, assertThrows } from "@std/assert";
import { isEnvGranted, readEnv, readEnvIfGranted } from "../../../backends/common/platform.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withEnv } from "../../support/own_env.ts";

const NAME = "VM_TEST_READ_ENV";

Deno.test("readEnv gives the value, and undefined for one that is unset or empty", async () => {
  assertEquals(await withEnv({ [NAME]: " x " }, () => readEnv(NAME, "test")), " x ");
  assertEquals(await withEnv({ [NAME]: "" }, () => readEnv(NAME, "test")), undefined);
  assertEquals(readEnv(NAME, "test"), undefined);
});

Deno.test("readEnvIfGranted does the same where it may", async () => {
  assertEquals(isEnvGranted(NAME), true);
  assertEquals(await withEnv({ [NAME]: "x" }, () => readEnvIfGranted(NAME)), "x");
  assertEquals(await withEnv({ [NAME]: "" }, () => readEnvIfGranted(NAME)), undefined);
});

Deno.test("a denied variable is an error for readEnv, and undefined for readEnvIfGranted", {
  permissions: { env: ["VM_TEST_OTHER"] },
}, async () => {
  const words = ["Cannot find the map:", `--allow-env=${NAME}`];
  await rejectsWith("permission_required", () => readEnv(NAME, "find the map"), ...words);
  assertEquals(readEnvIfGranted(NAME), undefined);
  assertEquals(isEnvGranted(NAME), false);
  assertEquals(isEnvGranted("VM_TEST_OTHER"), true);
});

Deno.test("readEnv passes on what is not about permissions", () => {
  assertThrows(() => readEnv("a=b", "test"), TypeError);
});
