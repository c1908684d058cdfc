import { assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { BACKEND_VARIABLES } from "../../backends/common/platform.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
  setDefaultBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { withTempHome } from "../support/temp_home.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn } from "../support/sandbox.ts";
import { withEnv } from "../support/own_env.ts";

const MEMORY = { VM_OIDC_CREDENTIALS_BACKEND: "memory" };
const env = [...Object.values(BACKEND_VARIABLES), "HOME", "USERPROFILE"];

Deno.test("the argument comes before the default, the environment and the file", {
  permissions: { env },
}, async () => {
  const [argument, byDefault] = [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()];
  try {
    setDefaultBackend(byDefault);
    await withEnv(MEMORY, async () => {
      assertStrictEquals(await resolveCredentialsBackend(argument), argument);
      assertStrictEquals(await resolveCredentialsBackend(), byDefault);
      setDefaultBackend(undefined);
      const named = await resolveCredentialsBackend();
      assertInstanceOf(named, MemoryCredentialsBackend);
      assertEquals([argument, byDefault].includes(named), false);
    });
    await withEnv({}, async () => {
      assertInstanceOf(await resolveCredentialsBackend(), FileCredentialsBackend);
    });
  } finally {
    setDefaultBackend(undefined);
  }
});

Deno.test("with an argument or a default, the environment is not looked at", {
  permissions: "none",
}, async () => {
  const backend = new MemoryCredentialsBackend();
  assertStrictEquals(await resolveCredentialsBackend(backend), backend);
  try {
    setDefaultBackend(backend);
    assertStrictEquals(await resolveCredentialsBackend(), backend);
  } finally {
    setDefaultBackend(undefined);
  }
});

Deno.test("the file of the home folder is one instance, and is not touched yet", () =>
  withTempHome((home) =>
    withEnv({}, async () => {
      const backend = await resolveCredentialsBackend();
      assertInstanceOf(backend, FileCredentialsBackend);
      assertEquals(backend.path.startsWith(home), true);
      assertEquals(namesIn(home), []);
      assertStrictEquals(await resolveCredentialsBackend(), backend);
      await withTempHome(async () => {
        assertEquals(await resolveCredentialsBackend() === backend, false);
      });
    })
  ));

Deno.test("an argument that is no backend is invalid_backend, not a reason to look further", {
  permissions: "none",
}, async () => {
  for (const wrong of [null, {}, "memory", { get() {}, put() {} }]) {
    const resolve = () => resolveCredentialsBackend(wrong as unknown as MemoryCredentialsBackend);
    await rejectsWith("invalid_backend", resolve, "Cannot use credentialsBackend");
  }
});

Deno.test("an environment that cannot be understood, or read, does not fall back to the file", {
  permissions: { env },
}, async () => {
  const wrong = { VM_OIDC_CREDENTIALS_BACKEND: "redis" };
  await withEnv(wrong, () => rejectsWith("backend_spec_invalid", resolveCredentialsBackend));
  const odd = { VM_OIDC_NO_PERSIST: "on" };
  await withEnv(odd, () => rejectsWith("env_invalid", resolveCredentialsBackend));
});

Deno.test("an environment that may not be read is permission_required, not the file", {
  permissions: { env: ["HOME", "USERPROFILE"] },
}, async () => {
  await rejectsWith("permission_required", resolveCredentialsBackend, "VM_OIDC_NO_PERSIST");
});

Deno.test("setDefaultBackend refuses what is no backend, and keeps the one that is set", {
  permissions: "none",
}, async () => {
  const backend = new MemoryCredentialsBackend();
  setDefaultBackend(backend);
  try {
    for (const wrong of [{}, "memory", MemoryCredentialsBackend]) {
      const set = () => setDefaultBackend(wrong as unknown as OidcCredentialsBackend);
      await rejectsWith(
        "invalid_backend",
        set,
        "Cannot use the default as a credentials backend",
      );
    }
    assertStrictEquals(getDefaultBackend(), backend);
  } finally {
    setDefaultBackend(undefined);
  }
});

Deno.test("setDefaultBackend(null) goes back to the environment, as in Python", {
  permissions: "none",
}, () => {
  for (const none of [null, undefined]) {
    setDefaultBackend(new MemoryCredentialsBackend());
    setDefaultBackend(none);
    assertEquals(getDefaultBackend(), undefined);
  }
});
