import { assertEquals } from "@std/assert";
import { netHost } from "../../backends/net_host.ts";

Deno.test({
  name: "netHost names the port, also where the URL leaves it out",
  permissions: "none",
  fn() {
    const host = (url: string) => netHost(new URL(url));
    assertEquals(host("https://login.example.com/tenant"), "login.example.com:443");
    assertEquals(host("http://localhost/"), "localhost:80");
    assertEquals(host("https://api.example.com:8443/v1/"), "api.example.com:8443");
    assertEquals(host("http://[::1]:5000/"), "[::1]:5000");
  },
});
