/**
 * Makes the command line one program that needs no Deno: `deno task compile`, with `--target` for
 * another system. The program lies in `dist/`.
 *
 * Deno fetches the runtime of the program (`denort`) from its own host, or takes the one that
 * `DENORT_BIN` names.
 */
import { fromFileUrl } from "@std/path";
import { KEYRING_PACKAGES, KEYRING_VERSION } from "../backends/keychain/client.ts";
import { DENO } from "../tests/support/deno_process.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** The systems that a release has programs for. */
export const TARGETS: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];

/** The program that opens a page in the browser, by a part of the target's name. */
const LAUNCHERS = { darwin: "open", windows: "rundll32", linux: "xdg-open" };

/**
 * The permissions of the program. The store's path, the provider's host and the variables in a store's
 * options are the person's to choose, and the keychain's library is unpacked to a folder that is not
 * known before. No program can be run but the one that opens the browser.
 */
function bakedFlags(target: string): string[] {
  const system = Object.keys(LAUNCHERS).find((name) => target.includes(name));
  if (system === undefined) throw new Error(`Cannot compile: ${target} is not a known target.`);
  return [
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    "--allow-net",
    "--allow-env",
    "--allow-ffi",
    "--allow-sys=uid",
    `--allow-run=${LAUNCHERS[system as keyof typeof LAUNCHERS]}`,
    "--unstable-kv",
  ];
}

/** The command that compiles for a target. */
function compileCommand(target: string, output: string): [string, ...string[]] {
  const library = KEYRING_PACKAGES[target];
  if (library === undefined) throw new Error(`Cannot compile: no keychain library for ${target}.`);
  return [
    DENO,
    "compile",
    "--no-check", // `deno task check` does
    "--config",
    `${ROOT}deno.json`,
    "--target",
    target,
    ...bakedFlags(target),
    "--exclude-unused-npm",
    // Found by a name that depends on the platform, which Deno cannot follow.
    "--include",
    `npm:${library}@${KEYRING_VERSION}/package.json`,
    "--output",
    output,
    `${ROOT}client/cli.ts`,
  ];
}

if (import.meta.main) {
  const at = Deno.args.indexOf("--target");
  const target = at === -1 ? Deno.build.target : Deno.args[at + 1] ?? "";
  const suffix = at === -1 ? "" : `-${target}`;
  const extension = target.includes("windows") ? ".exe" : "";
  const [program, ...args] = compileCommand(
    target,
    `${ROOT}dist/validmind-auth${suffix}${extension}`,
  );
  // With this one set, a program lacks each module that it loads later.
  const env = { DENO_UNSTABLE_LAZY_DYNAMIC_IMPORTS: "" };
  Deno.exitCode = (await new Deno.Command(program, { args, env }).spawn().status).code;
}
