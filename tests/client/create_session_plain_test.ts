import { assertEquals, assertExists, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { BACKEND_VARIABLES, envReader } from "../../backends/common/platform.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import {
  plainBackend,
  resolveCredentialsBackend,
  setDefaultBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { createSession, plainOptions, UNUSUAL_VARIABLES } from "../../client/create_session.ts";
import { checkSessionOptions, resolveOptions } from "../../client/options/resolve_options.ts";
import { credentialKey } from "../../client/entry.ts";
import { collectPermissions } from "../../client/permissions/needs.ts";
import type { SessionOptions } from "../../client/session_options.ts";
import { runDeno } from "../support/deno_process.ts";
import { entry } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { tempDir, withTempHome } from "../support/temp_home.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };

/** Runs `fn` with these variables and an empty home folder. */
async function withVariables(env: Record<string, string>, fn: () => unknown) {
  await withTempHome(async () => {
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    await fn();
  });
}

const ISSUERS = [
  "https://login.example.com",
  ' "https://login.example.com/tenant//" ',
  "https://login.example.com:8443/a b",
  "https://login.example.com?x",
  "https://login.example.com#x",
  "https://name@login.example.com",
  "https://login.example.com/a|b",
  "https://login.example.com:99999",
  "https:///",
  "http://login.example.com",
  "http://localhost:8080",
  "http://127.0.0.1:8080/tenant",
  "http://[::1]:8080",
  "http://localhost",
  "http://localhost.example.com:8080",
  "http://127.0.0.1.example.com/",
  "http://localhost@login.example.com",
  "http://localhost:8080@login.example.com",
  "HTTPS://login.example.com",
  "",
  " ",
];
const CLIENT_IDS = ["my-app", " 'my-app' ", "a|b", "''", "", " "];

Deno.test("plain options: the result is that of the full check, or there is none", async () => {
  let plain = 0;
  for (const issuer of ISSUERS) {
    for (const clientId of CLIENT_IDS) {
      const asOptions: [SessionOptions, Record<string, string>] = [{ issuer, clientId }, {}];
      const asVariables: [SessionOptions, Record<string, string>] = [
        {},
        { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId },
      ];
      for (const [options, env] of [asOptions, asVariables]) {
        await withVariables(env, () => {
          const result = plainOptions(options, envReader());
          if (result === undefined) return;
          plain++;
          checkSessionOptions(options, "test", false);
          const { runtime, ...full } = resolveOptions(options, "test");
          const { fetch, now, timeoutMs, emit } = runtime;
          assertEquals({ ...result, runtime: undefined }, { ...full, runtime: undefined });
          const { delay: _, elapsed: _1, ...plainRuntime } = result.runtime;
          assertEquals(plainRuntime, { fetch, now, timeoutMs });
          assertEquals(emit, undefined);
        });
      }
    }
  }
  assertEquals(plain, 20);
});

for (const name of UNUSUAL_VARIABLES) {
  Deno.test(`plain options: not where ${name} is set`, async () => {
    await withVariables({ [name]: "x" }, () => {
      assertEquals(plainOptions(OIDC, envReader()), undefined);
    });
  });
}

Deno.test("plain options: an empty variable is an unset one", async () => {
  await withVariables({ VM_OIDC_SCOPE: "" }, () => {
    assertExists(plainOptions(OIDC, envReader()));
  });
});

Deno.test("plain options: all variables that a session reads are looked at", async () => {
  await withTempHome(async () => {
    const names = new Set<string>();
    const about = { call: "createSession" } as const;
    for (const options of [OIDC, { apiKey: "k", apiSecret: "s" }]) {
      for (const need of await collectPermissions(options, about, () => Promise.resolve([]))) {
        if (need.name === "env") names.add(need.variable!);
      }
    }
    Deno.env.set("VM_OIDC_ISSUER", OIDC.issuer);
    Deno.env.set("VM_OIDC_CLIENT_ID", OIDC.clientId);
    for (const need of await collectPermissions({}, about, () => Promise.resolve([]))) {
      if (need.name === "env") names.add(need.variable!);
    }
    const known = [
      ...UNUSUAL_VARIABLES,
      ...Object.values(BACKEND_VARIABLES),
      "VM_OIDC_ISSUER",
      "VM_OIDC_CLIENT_ID",
      "VM_OIDC_CLIENT_SECRET", // read where the provider is needed, as the next two
      "VM_OIDC_CLIENT_KEY_FILE",
      "VM_OIDC_CLIENT_ASSERTION_FILE",
      "HOME",
      "USERPROFILE",
    ];
    assertEquals([...names].filter((name) => !known.includes(name)), []);
  });
});

for (
  const options of [null, 5, "x", [], [OIDC], { ...OIDC, isuer: "x" }, { ...OIDC, model: "m" }]
) {
  Deno.test(`createSession refuses ${JSON.stringify(options)}`, async () => {
    await withVariables(
      { VM_OIDC_ISSUER: OIDC.issuer, VM_OIDC_CLIENT_ID: OIDC.clientId },
      () => rejectsWith("invalid_options", () => createSession(options as SessionOptions)),
    );
  });
}

Deno.test("plain options: one option more leads to the full check", async () => {
  await withTempHome(() => {
    assertEquals(plainOptions({ ...OIDC, interactive: false }, envReader()), undefined);
    const own = Object.assign(Object.create({ dpop: true }), OIDC);
    assertEquals(plainOptions(own, envReader()), undefined);
  });
});

Deno.test("plain backend: the same file backend as where none is chosen", async () => {
  await withTempHome(async () => {
    assertEquals(plainBackend(envReader()) === await resolveCredentialsBackend(), true);
  });
});

Deno.test("plain backend: not where a default is set", async () => {
  await withTempHome(() => {
    setDefaultBackend(new MemoryCredentialsBackend());
    try {
      assertEquals(plainBackend(envReader()), undefined);
    } finally {
      setDefaultBackend(undefined);
    }
  });
});

for (const name of Object.values(BACKEND_VARIABLES)) {
  for (const value of ["", "0", "memory"]) {
    Deno.test(`plain backend: not where ${name} is "${value}"`, async () => {
      await withVariables({ [name]: value }, () => {
        assertEquals(plainBackend(envReader()), undefined);
      });
    });
  }
}

Deno.test("plain backend: not where a variable may not be read", async () => {
  await withTempHome(() => {
    const readEnv = envReader();
    for (const denied of [...Object.values(BACKEND_VARIABLES), "HOME", "USERPROFILE"]) {
      if (denied === (Deno.build.os === "windows" ? "HOME" : "USERPROFILE")) continue;
      assertEquals(plainBackend((name) => name === denied ? null : readEnv(name)), undefined);
    }
  });
});

for (const missing of ["net", "read", "write"]) {
  Deno.test(`plain refresh: without ${missing} permission nothing is sent, and all flags are named`, async () => {
    await using home = await tempDir();
    const folder = join(home.path, ".validmind");
    await new FileCredentialsBackend({ path: `${folder}/credentials.json` })
      .put(
        credentialKey(OIDC.issuer, OIDC.clientId),
        entry({ expires_at: "2020-01-01T00:00:00Z" }),
      );
    const granted = {
      net: `--allow-net=${missing === "net" ? "elsewhere.example.com" : "login.example.com:443"}`,
      read: `--allow-read=${folder}${missing === "read" ? "/credentials.json" : ""}`,
      ...(missing === "write" ? {} : { write: `--allow-write=${folder}` }),
    };
    const { stdout } = await runDeno({
      code: `
        globalThis.fetch = () => { throw new Error("sent"); };
        const { createSession } = await import("@validmind/auth");
        await createSession(${
        JSON.stringify(OIDC)
      }).catch(({ code, message }) => console.log(code, message));
      `,
      flags: ["--allow-env", ...Object.values(granted)],
      env: { HOME: home.path },
    });
    assertStringIncludes(
      stdout,
      "permission_required Cannot create the session: Deno does not permit",
    );
    assertStringIncludes(stdout, "--allow-net=login.example.com:443");
    assertStringIncludes(stdout, `--allow-write=${folder}`);
  });
}

Deno.test("plain options: its wait is the real one", async () => {
  await withTempHome(async () => {
    const { delay } = plainOptions(OIDC, envReader())!.runtime;
    await delay(0);
    await assertRejects(() => delay(60_000, AbortSignal.abort(new Error("ended"))), Error, "ended");
  });
});
