import { assertEquals } from "@std/assert";
import { leftTemps, ReservedFile, untilReserved } from "../../../backends/file/reserved_file.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

Deno.test({
  name: "a file that a living process has reserved is neither left nor reserved again",
  permissions,
  async fn() {
    const parent = folder();
    const path = `${parent}/c.json.00000000.tmp`;
    const reserved = ReservedFile.create(path, 10)!;
    assertEquals(ReservedFile.create(path, 10), undefined);
    assertEquals(leftTemps(`${parent}/c.json`), []);
    const attempt = () => ReservedFile.create(path, 10);
    await rejectsWith(
      "backend_locked",
      () => untilReserved(path, 0, attempt),
      path,
      "another process",
    );
    reserved.close();
    assertEquals(leftTemps(`${parent}/c.json`), [path]);
    const again = await untilReserved(path, 0, attempt);
    again.release();
    assertEquals(namesIn(parent), []);
  },
});
