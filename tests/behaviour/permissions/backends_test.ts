import { assertEquals } from "@std/assert";
import {
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
} from "@validmind/auth";
import { withEnv } from "../../support/own_env.ts";

Deno.test({
  name: "memory and KV in memory declare that they need nothing",
  permissions: "none",
  fn() {
    assertEquals(new MemoryCredentialsBackend().requiredPermissions(), []);
    assertEquals(new KvCredentialsBackend().requiredPermissions(), []);
  },
});

Deno.test({
  name: "a file declares its folder, and the home's variable only without a path",
  ignore: Deno.build.os === "windows",
  async fn() {
    const backend = new FileCredentialsBackend({ path: "/data/x/tokens.json" });
    assertEquals(backend.requiredPermissions(), [
      { name: "read", path: "/data/x/tokens.json" },
      { name: "read", path: "/data/x", need: "sign_in" },
      { name: "write", path: "/data/x", need: "sign_in" },
    ]);
    await withEnv({ HOME: "/home/ada" }, () => {
      assertEquals(new FileCredentialsBackend().requiredPermissions(), [
        { name: "read", path: "/home/ada/.validmind/credentials.json" },
        { name: "read", path: "/home/ada/.validmind", need: "sign_in" },
        { name: "write", path: "/home/ada/.validmind", need: "sign_in" },
        { name: "env", variable: "HOME" },
      ]);
    });
  },
});

Deno.test({
  name: "KV declares its file, or its server's host with the port and the variable Deno reads",
  permissions: "none",
  fn() {
    assertEquals(new KvCredentialsBackend({ path: "/data/kv.db" }).requiredPermissions(), [
      { name: "read", path: "/data" },
      { name: "write", path: "/data" },
    ]);
    assertEquals(
      new KvCredentialsBackend({ path: "https://kv.example.com/db" }).requiredPermissions(),
      [
        { name: "net", host: "kv.example.com:443" },
        { name: "env", variable: "DENO_KV_ACCESS_TOKEN" },
      ],
    );
  },
});
