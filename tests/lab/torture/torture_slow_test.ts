// The short form of each torture; `deno task torture` is the long one.
import { testWith } from "../../support/test_with.ts";
import { FILE_STORES } from "./store.ts";
import { testTortures } from "./tortures.ts";

const test = testWith({ ignore: Deno.build.os !== "linux" });
testTortures(test, FILE_STORES, "stampede", "killed", "migration");
