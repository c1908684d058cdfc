import { delay } from "../../backends/common/promises.ts";
import { tempDir } from "./temp_home.ts";
import { writeProgram } from "./write_program.ts";

/** A folder with an `xdg-open` in it that takes down its arguments and ends with `code`. */
export async function fakeBrowser(code = 0) {
  const { path, [Symbol.asyncDispose]: dispose } = await tempDir();
  const script = `#!/bin/sh
folder=\${0%/*}
/usr/bin/env > "$folder/environment"
printf '%s\\n' "$#" "$@" > "$folder/x" && /bin/mv "$folder/x" "$folder/arguments"
exit ${code}
`;
  writeProgram(`${path}/xdg-open`, script);
  const opened = () => Deno.readTextFile(`${path}/arguments`).catch(() => undefined);
  return {
    path,
    /** Variables of a program that finds it first. */
    env: { PATH: `${path}:${Deno.env.get("PATH")}` },
    /** The number of its arguments, and each of them, on lines; `undefined` before it was run. */
    opened,
    /** The page, once it is opened. */
    async page(): Promise<string> {
      let text: string | undefined;
      while ((text = await opened()) === undefined) await delay(5);
      return text.split("\n")[1]!;
    },
    environment: () => Deno.readTextFile(`${path}/environment`),
    [Symbol.asyncDispose]: dispose,
  };
}
