import { assertEquals } from "@std/assert";
import { keychainLocks } from "../../../backends/keychain/store.ts";
import { KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

function removeLocks(parent: string): void {
  for (const name of namesIn(parent)) {
    if (name.endsWith(".lock")) Deno.removeSync(`${parent}/${name}`);
  }
}

Deno.test({
  name: "a keychain's lock whose file is removed is noticed, and lets no second refresh begin",
  permissions,
  ignore: Deno.build.os === "windows",
  async fn() {
    const parent = folder();
    const [one, other] = [1, 2].map(() => keychainLocks(parent, "service", 30_000));
    await one!.withKey(KEY, async () => {
      one!.assertHeld(KEY);
      removeLocks(parent);
      await rejectsWith("backend_locked", () => one!.reserve(KEY), "removed or replaced");
      await rejectsWith(
        "backend_locked",
        () => Promise.try(() => one!.assertHeld(KEY)),
        "removed or replaced",
      );
    }, {});
    const order: string[] = [];
    let second: Promise<void> | undefined;
    await one!.withKey(KEY, async () => {
      await using _room = await one!.reserve(KEY);
      removeLocks(parent);
      second = other!.withKey(KEY, async () => {
        await using _second = await other!.reserve(KEY);
        order.push("second");
      }, {});
      await new Promise((resolve) => setTimeout(resolve, 60)); // some of its tries
      one!.assertHeld(KEY); // reserved before
      order.push("first");
    }, {});
    await second;
    assertEquals(order, ["first", "second"]);
    assertEquals(namesIn(parent).filter((name) => name.endsWith(".tmp")), []);
  },
});
