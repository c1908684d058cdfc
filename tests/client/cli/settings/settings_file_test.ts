import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SettingsError } from "../../../../client/cli/settings/settings_error.ts";
import {
  readSettingsText,
  type SettingsText,
  usualPlace,
} from "../../../../client/cli/settings/settings_file.ts";
import { withEnv } from "../../../support/own_env.ts";
import { isPosix, makePipe, sandbox } from "../../../support/sandbox.ts";

const { folder, permissions } = sandbox();
const OWN = { ...permissions, sys: ["uid"] as ("uid")[] };

for (
  const [env, place] of [
    [{ HOME: "/home/ada" }, "/home/ada/.config/validmind-auth/config.json"],
    [{ HOME: "/home/ada/", XDG_CONFIG_HOME: "/etc/ada/" }, "/etc/ada/validmind-auth/config.json"],
    [
      { HOME: "/home/ada", XDG_CONFIG_HOME: "relative" },
      "/home/ada/.config/validmind-auth/config.json",
    ],
    [{ HOME: "/home/ada", XDG_CONFIG_HOME: "" }, "/home/ada/.config/validmind-auth/config.json"],
    [{ HOME: "" }, undefined],
  ] as const
) {
  Deno.test(`settings file: with ${JSON.stringify(env)} it is ${place}`, () =>
    withEnv(env, () => assertEquals(usualPlace("linux"), place)));
}

Deno.test("settings file: on Windows it is in the folder for settings", async () => {
  const APPDATA = "C:\\Users\\ada\\AppData\\Roaming";
  const place = `${APPDATA}\\validmind-auth\\config.json`;
  await withEnv(
    { APPDATA, XDG_CONFIG_HOME: "/etc" },
    () => assertEquals(usualPlace("windows"), place),
  );
});

Deno.test({
  name: "settings file: without a variable that may be read there is no place",
  permissions: {},
  fn: () => assertEquals(usualPlace("linux"), undefined),
});

function write(text: string | Uint8Array, mode = 0o644): string {
  const path = `${folder()}/config.json`;
  Deno.writeFileSync(path, typeof text === "string" ? new TextEncoder().encode(text) : text);
  if (isPosix) Deno.chmodSync(path, mode);
  return path;
}

Deno.test({
  name: "settings file: a regular file of this user is read",
  permissions: OWN,
  fn: () => assertEquals(readSettingsText(write("{}")), { state: "read", text: "{}" }),
});

Deno.test({
  name: "settings file: a link to such a file is followed",
  ignore: !isPosix,
  fn: () => {
    const link = `${folder()}/link.json`;
    Deno.symlinkSync(write("{}"), link);
    assertEquals(readSettingsText(link), { state: "read", text: "{}" });
  },
});

Deno.test({
  name: "settings file: one that is not there, or cannot be there, is absent",
  permissions: OWN,
  fn: () => {
    assertEquals(readSettingsText(`${folder()}/none/config.json`), { state: "absent" });
    if (isPosix) assertEquals(readSettingsText(`${write("{}")}/config.json`), { state: "absent" });
  },
});

const REFUSED: [what: string, make: () => string | Promise<string>, ...words: string[]][] = [
  ["a folder", () => folder(), "it is no regular file"],
  ["a named pipe", async () => {
    const path = `${folder()}/pipe`;
    await makePipe(path);
    return path;
  }, "it is no regular file"],
  ["one that the group may write", () => write("{}", 0o664), "mode 0664", "chmod go-w "],
  ["one that all may write", () => write("{}", 0o606), "mode 0606", "chmod go-w "],
  ["one of 64 KiB and a byte", () => write(" ".repeat(64 * 1024 + 1)), "65537 bytes"],
  ["one that is no UTF-8", () => write(new Uint8Array([0x7b, 0xff])), "no UTF-8"],
  ["a link to nothing", () => {
    const path = `${folder()}/link.json`;
    Deno.symlinkSync(`${path}.gone`, path);
    return path;
  }, "a link to nothing"],
];

for (const [what, make, ...words] of REFUSED) {
  Deno.test({
    name: `settings file: ${what} is refused, by its path`,
    permissions: /link|pipe/.test(what) ? "inherit" : OWN,
    ignore: !isPosix,
    fn: async () => {
      const path = await make();
      const { message } = assertThrows(() => readSettingsText(path), SettingsError);
      for (const word of [`Cannot use the settings file ${path}: `, ...words]) {
        assertStringIncludes(message, word);
      }
    },
  });
}

Deno.test({
  name: "settings file: one of another user is refused, one of the superuser is not",
  permissions: OWN,
  ignore: !isPosix,
  fn: () => {
    const path = write("{}");
    using _ = asUser(Deno.uid()! + 1);
    if (Deno.uid() === 1) { // the file is the superuser's
      assertEquals(readSettingsText(path).state, "read");
      Deno.chownSync(path, 12345, null);
    }
    const { message } = assertThrows(() => readSettingsText(path), SettingsError);
    assertStringIncludes(message, "it belongs to another user (uid ");
  },
});

/** Lets this process seem to be another user's. */
function asUser(uid: number): Disposable {
  const own = Deno.uid;
  Object.assign(Deno, { uid: () => uid });
  return { [Symbol.dispose]: () => void Object.assign(Deno, { uid: own }) };
}

Deno.test({
  name: "settings file: what Deno does not permit is left alone, with the flag for it",
  permissions: {},
  fn: () => {
    const found = readSettingsText("/home/ada/.config/validmind-auth/config.json");
    const flag = "--allow-read=/home/ada/.config/validmind-auth/config.json";
    assertEquals(found.state, "denied");
    assertStringIncludes(adviceOf(found), flag);
  },
});

Deno.test({
  name: "settings file: without the user's id only a file that is closed to others is read",
  permissions,
  ignore: !isPosix,
  fn: () => {
    const writeOwn = (mode: number) => {
      const path = write("{}", mode);
      if (Deno.statSync(path).uid === 0) Deno.chownSync(path, 12345, null); // no superuser's
      return path;
    };
    assertEquals(readSettingsText(writeOwn(0o600)).state, "read");
    const open = readSettingsText(writeOwn(0o644));
    assertEquals(open.state, "denied");
    assertStringIncludes(adviceOf(open), "--allow-sys=uid");
  },
});

function adviceOf(found: SettingsText): string {
  assert(found.state === "denied");
  return found.advice;
}
