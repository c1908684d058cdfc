import { assert, assertEquals, assertThrows } from "@std/assert";
import { resolve, toFileUrl } from "@std/path";
import {
  getEnv,
  isEnvGranted,
  parseFlag,
  readEnv,
  readEnvIfGranted,
} from "../../../backends/common/environment.ts";
import { probeKey } from "../../../backends/common/marks.ts";
import { isLoopback, isSecureUrl, netHost } from "../../../backends/common/host.ts";
import { pathOfUrl } from "../../../backends/common/paths.ts";
import { permissionFlag } from "../../../backends/common/permission.ts";
import { quoteArgument, quotePosix, quoteWindows } from "../../../backends/common/runtime.ts";
import { shortHash } from "../../../backends/file/lock.ts";
import { didYouMean } from "../../../backends/common/check_options.ts";
import { DENO, mustRun } from "../../support/deno_process.ts";
import { withEnv } from "../../support/own_env.ts";
import { replace } from "../../support/replace.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { testWith } from "../../support/test_with.ts";

const NAME = "VM_TEST_READ_ENV";
const test = testWith({ ignore: Deno.build.os === "windows" });

Deno.test("a variable is read as it is, and one that is blank counts as unset", async () => {
  for (const [value, expected] of [[" x ", " x "], [" "], [""], []]) {
    await withEnv(value === undefined ? {} : { [NAME]: value }, () => {
      assertEquals([readEnv(NAME, "test"), readEnvIfGranted(NAME)], [expected, expected]);
    });
  }
  assertThrows(() => readEnv("a=b", "test"), TypeError);
});

Deno.test("a denied variable is an error for readEnv, and undefined for readEnvIfGranted", {
  permissions: { env: ["VM_TEST_OTHER"] },
}, async () => {
  const words = ["Cannot find the map:", `--allow-env=${NAME}`];
  await rejectsWith("permission_required", () => readEnv(NAME, "find the map"), ...words);
  assertEquals(readEnvIfGranted(NAME), undefined);
  assertEquals([isEnvGranted(NAME), isEnvGranted("VM_TEST_OTHER")], [false, true]);
});

Deno.test("the text of a variable that is not UTF-8, such as a secret, is not in the error", async () => {
  using _ = replace(Deno.env, "get", () => {
    throw new Deno.errors.InvalidData('environment variable was not valid unicode: "hunter2"');
  });
  const error = await rejectsWith("env_invalid", () => getEnv(NAME), NAME);
  assertEquals(Deno.inspect(error).includes("hunter2"), false);
});

Deno.test("parseFlag takes words for yes and no, and refuses what it would have to guess", async () => {
  const all = (...words: (string | undefined)[]) => words.map((word) => parseFlag("FLAG", word));
  assertEquals(all("1", "true", "YES", " yes "), [true, true, true, true]);
  assertEquals(all("0", "false", "No"), [false, false, false]);
  assertEquals(all(undefined, "", " "), [undefined, undefined, undefined]);
  for (const word of ["on", "off", "2", "y", "null"]) {
    await rejectsWith("env_invalid", () => parseFlag("FLAG", word), "FLAG");
  }
});

Deno.test("netHost names the port, also where the URL leaves it out", () => {
  const host = (url: string) => netHost(new URL(url));
  assertEquals(host("https://login.example.com/tenant"), "login.example.com:443");
  assertEquals(host("http://localhost/"), "localhost:80");
  assertEquals(host("https://api.example.com:8443/v1/"), "api.example.com:8443");
  assertEquals(host("http://[::1]:5000/"), "[::1]:5000");
});

Deno.test("loopback is localhost, 127.0.0.0/8 and [::1]: no name that a DNS server may answer", () => {
  const own = ["http://localhost", "http://127.0.0.1:80", "http://127.255.0.9", "http://[::1]"];
  own.push("http://2130706433/", "http://LOCALHOST/");
  for (const url of own) assertEquals(isSecureUrl(new URL(url)), true, url);
  const others = ["http://app.localhost", "http://localhost.", "http://localhost.example.com"];
  others.push("http://127.example.com", "http://a.example", "ftp://localhost", "ws://localhost");
  for (const url of others) assertEquals(isSecureUrl(new URL(url)), false, url);
  assertEquals([isSecureUrl(new URL("https://a.example")), isLoopback("::1")], [true, false]);
});

Deno.test("a file: URL has the path of this system, and no other URL has one", () => {
  const url = toFileUrl(resolve("größe/b c%41.ts"));
  assertEquals(pathOfUrl(url), resolve("größe/b c%41.ts"));
  assertEquals(pathOfUrl(new URL("https://example.com/srv")), undefined);
});

test("a shell gets back what was quoted, and plain arguments stay as they are", async () => {
  assertEquals(quoteArgument("--allow-read=/a/b_c,d"), "--allow-read=/a/b_c,d");
  assertEquals([quoteArgument(""), quoteArgument("two words")], ["''", "'two words'"]);
  assertEquals(quotePosix("it's"), "'it'\\''s'");
  assertEquals(quotePosix("\\'; id"), String.raw`''\\''\''; id'`); // fish ends no text at \'
  assertEquals(quoteWindows('a "$(b)" `c`\u201d;d'), '"a ""`$(b)"" ``c```\u201d;d"');
  const argument = `a 'b' "c" $HOME \`d\` $(e) \\ ! ; \n e`;
  assertEquals(await mustRun(["sh", "-c", `printf %s ${quoteArgument(argument)}`]), argument);
});

test("permissionFlag: a shell and Deno get the values, whatever is in them", async () => {
  const values = [
    ["read", "/srv/my files/a'b", "path"],
    ["net", "[::1]:8080", "host"],
    ["env", "HOME", "variable"],
  ] as const;
  const flags = values.map(([name, value]) => permissionFlag(name, value)).join(" ");
  const descriptors = values.map(([name, value, field]) => ({ name, [field]: value }));
  const code = `console.log(${JSON.stringify(descriptors)}
    .map((one) => Deno.permissions.querySync(one).state).join())`;
  const url = quotePosix(`data:,${encodeURIComponent(code)}`);
  const line = `${quotePosix(DENO)} run --no-prompt --no-config ${flags} ${url}`;
  assertEquals(await mustRun(["sh", "-c", line]), "granted,granted,granted\n", line);
  assertEquals( // a comma, which no flag can carry
    permissionFlag("read", "/srv/a,b"),
    'a permission set in deno.json with {"read":["/srv/a,b"]}',
  );
});

Deno.test("names that other releases look for stay as they are", async () => {
  assertEquals([shortHash("a"), await probeKey("a")], ["e40c292c", "probe|ca978112ca1bbdca"]);
});

Deno.test("didYouMean: a quarter of the letters may differ, or one, or the end may be missing", () => {
  const known = ["lockTimeoutMs", "for"];
  for (const near of ["lokTimeotMs", "locktimeout_ms", "fo", "lock-timeout"]) {
    assert(didYouMean(near, known) !== "", near);
  }
  for (const far of ["lokTimeotM", "lokTieoutM", "f", ""]) {
    assertEquals(didYouMean(far, known), "", far);
  }
});
