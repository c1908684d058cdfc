import { assertEquals } from "@std/assert";
import {
  isLoopback,
  isSecureUrl,
  isUrl,
  netHost,
  pathOfUrl,
} from "../../../backends/common/platform.ts";

Deno.test(
  "netHost names the port, also where the URL leaves it out",
  { permissions: "none" },
  () => {
    const host = (url: string) => netHost(new URL(url));
    assertEquals(host("https://login.example.com/tenant"), "login.example.com:443");
    assertEquals(host("http://localhost/"), "localhost:80");
    assertEquals(host("https://api.example.com:8443/v1/"), "api.example.com:8443");
    assertEquals(host("http://[::1]:5000/"), "[::1]:5000");
  },
);

Deno.test("isLoopback looks at the name as a URL has it", () => {
  assertEquals(isLoopback(new URL("http://2130706433/").hostname), true); // 127.0.0.1
  assertEquals(isLoopback(new URL("http://LOCALHOST/").hostname), true);
  assertEquals(isLoopback("::1"), false);
});

Deno.test("loopback is localhost, 127.0.0.0/8 and [::1]: no name that a DNS server may answer", () => {
  for (const name of ["localhost", "127.0.0.1", "127.255.0.9", "[::1]"]) {
    assertEquals(isLoopback(name), true, name);
  }
  for (const name of ["app.localhost", "localhost.", "localhost.example.com", "127.example.com"]) {
    assertEquals(isLoopback(name), false, name);
  }
});

Deno.test("isSecureUrl takes https:, and http: on loopback", () => {
  const isSecure = (url: string) => isSecureUrl(new URL(url));
  assertEquals(["https://a.example", "http://127.0.0.1:80"].map(isSecure), [true, true]);
  const insecure = [
    "http://a.example",
    "http://app.localhost",
    "ftp://localhost",
    "ws://localhost",
  ];
  assertEquals(insecure.map(isSecure), [false, false, false, false]);
});

Deno.test("isUrl takes http: and https:, and no path", { permissions: "none" }, () => {
  assertEquals(["http://a", "https://a/b"].map(isUrl), [true, true]);
  const paths = [":memory:", "/https:/a", "httpd", "C:\\kv.db", "HTTPS://a", "https:a"];
  assertEquals(paths.map(isUrl), Array(6).fill(false));
});

Deno.test("a file: URL has the path of this system, and no other URL has one", () => {
  const path = (url: string, onWindows: boolean) => pathOfUrl(new URL(url), onWindows);
  assertEquals(path("file:///srv/b%20c%2541.ts", false), "/srv/b c%41.ts");
  assertEquals(path("file:///srv/gr%C3%B6%C3%9Fe", false), "/srv/größe");
  assertEquals(path("file:///C:/srv/b%20c.ts", true), "C:\\srv\\b c.ts");
  assertEquals(path("file://host/share/b.ts", true), "\\\\host\\share\\b.ts");
  assertEquals(path("file:///srv/%ff", false), undefined);
  assertEquals(path("https://example.com/srv", false), undefined);
});
