import { fromFileUrl } from "@std/path";
import { assertEquals } from "@std/assert";
import { mustRun } from "../../support/deno_process.ts";
import type { HubKernel } from "./hub_kernel.ts";
import type { HubFolder } from "./hub_folder.ts";
import type { HubWorld } from "./hub_world.ts";
import type { UnixUser } from "./unix_users.ts";

/** Makes modules of Python importable in the kernels of the hub. */
export async function addPythonModules({ venv }: HubFolder, ...modules: URL[]): Promise<void> {
  const copy = 'cp "$@" "$0"/lib/python3*/site-packages/';
  await mustRun(["sh", "-c", copy, venv, ...modules.map(fromFileUrl)]);
}

/** A person's kernels of both languages. Tokens are compared by their hashes. */
export class BothLanguages {
  constructor(
    readonly world: HubWorld,
    readonly user: UnixUser,
    readonly deno: HubKernel,
    readonly python: HubKernel,
  ) {}

  /** The token by which a Deno kernel starts, without asking anybody; an error's code where none. */
  denoToken(): Promise<string> {
    return this.deno.evaluate(`
      const vm = await import("jsr:@validmind/auth");
      try {
        await using session = await vm.createSession({ interactive: false });
        const token = new TextEncoder().encode(await session.accessToken());
        return new Uint8Array(await crypto.subtle.digest("SHA-256", token)).toHex();
      } catch (error) {
        return error.code ?? String(error);
      }`);
  }

  /** The same in a Python kernel, by the library's own code. */
  pythonToken(): Promise<string> {
    return this.python.evaluate(`
import hashlib, os
import validmind_library as library
try:
    entry = library.obtain(os.environ["VM_OIDC_ISSUER"], os.environ["VM_OIDC_CLIENT_ID"])
    value = hashlib.sha256(entry["access_token"].encode()).hexdigest()
except Exception as error:
    value = str(error)[:80]`);
  }

  /** Signs in by the Python library, whose cell prints the code. */
  async signInByPython(): Promise<void> {
    const cell = this.python.send(`
import os
import validmind_library as library
entry = library.sign_in(os.environ["VM_OIDC_ISSUER"], os.environ["VM_OIDC_CLIENT_ID"])
print("signed in")`);
    const { content } = await cell.waitFor(({ content: { text } }) => /Code:/.test(text ?? ""));
    const [code] = /[A-Z]{4}-[A-Z]{4}/.exec(content.text!)!;
    const { provider, loginOf } = this.world;
    await provider.approve(code, { login: loginOf(this.user) });
    await cell.waitFor(({ content: { text } }) => /signed in/.test(text ?? ""));
  }

  /** Removes what is stored. */
  async signOut(): Promise<void> {
    await this.deno.evaluate(`
      await (await import("jsr:@validmind/auth")).clearOidcCredentials();
      return null;`);
  }

  /** Makes the stored access token look expired. */
  async expire(): Promise<void> {
    await this.deno.evaluate(`
      const vm = await import("jsr:@validmind/auth");
      const backend = await vm.loadBackendFromEnv() ?? new vm.FileCredentialsBackend();
      const key = vm.credentialKey(Deno.env.get("VM_OIDC_ISSUER"), Deno.env.get("VM_OIDC_CLIENT_ID"));
      await backend.put(key, { ...await backend.get(key), expires_at: "2020-01-01T00:00:00Z" });
      return null;`);
  }

  /** Has both refresh one expired token at once: neither loses the sign-in. */
  async refreshAtOnce(): Promise<void> {
    await this.expire();
    const [deno, python] = await Promise.all([this.denoToken(), this.pythonToken()]);
    assertEquals(python, deno, "one did not wait for the other");
  }

  /** A sign-in in the one serves the other, whichever is first, and so does a refresh. */
  async shareSignIn(): Promise<void> {
    const first = await this.denoToken();
    assertEquals(await this.pythonToken(), first, "Python does not start from Deno's sign-in");
    await this.expire();
    const refreshed = await this.pythonToken();
    assertEquals(refreshed === first, false, "Python has not refreshed");
    assertEquals(await this.denoToken(), refreshed, "Deno does not take Python's refresh");
    await this.signOut();
    assertEquals(await this.pythonToken(), "login_required");
    await this.signInByPython();
    assertEquals(await this.denoToken(), await this.pythonToken());
  }
}
