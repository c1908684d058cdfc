// deno-lint-ignore-file no-console
/**
 * Signs in, refreshes and signs out against a real OpenID Provider on this machine, and tells what
 * happens: `deno task demo`. With `--manual` you approve the first sign-in in your own browser.
 */
import { findDenoDir } from "../support/deno_process.ts";
import { withTempHome } from "../support/temp_home.ts";
import { DemoReport } from "./demo_report.ts";
import { demoSteps } from "./demo_steps.ts";
import { duration, startDemoWorld } from "./demo_world.ts";

const USAGE = "Usage: deno task demo [--manual]";
/** By itself the demo needs some seconds; a person has until the code ends. */
const LIMIT_MS = 25_000;

/** A failure with the name of the step in which it came up. */
class DemoError extends Error {}

async function demo(manual: boolean, interrupt: AbortSignal): Promise<void> {
  const denoDir = findDenoDir();
  const start = performance.now();
  const signal = manual ? interrupt : AbortSignal.any([interrupt, AbortSignal.timeout(LIMIT_MS)]);
  const report = new DemoReport();
  await withTempHome(async (home) => {
    await using world = await startDemoWorld({ home, denoDir, manual, signal });
    introduce(report, world);
    for (const [index, { title, run }] of demoSteps.entries()) {
      report.heading(`Step ${index + 1} of ${demoSteps.length}: ${title}`);
      report.text("");
      await named(`step ${index + 1} (${title})`, () => run(world, report));
    }
  });
  report.heading(
    `Done: ${demoSteps.length} steps in ${duration(performance.now() - start)}. ` +
      "The temporary home is gone.",
  );
}

function introduce(
  report: DemoReport,
  { provider, api, home }: { provider: { issuer: string }; api: { apiHost: string }; home: string },
): void {
  report.heading("@validmind/auth: sign in, stay signed in, sign out");
  report.text(
    "",
    "All of this runs on your machine. Your own credentials are neither read nor changed.",
  );
  report.facts({
    "OpenID Provider (oidc-provider)": provider.issuer,
    "Stand-in for the ValidMind API": api.apiHost,
    "Temporary home": home,
  });
}

async function named(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    throw new DemoError(`${name}: ${explain(error)}`, { cause: error });
  }
}

function explain(error: unknown): string {
  if (error instanceof SuppressedError) {
    return `${explain(error.suppressed)}; ${explain(error.error)}`;
  }
  if (error instanceof AggregateError) return error.errors.map(explain).join("; ");
  return error instanceof Error ? error.message : String(error);
}

async function main(args: string[]): Promise<number> {
  if (args.some((arg) => arg !== "--manual")) {
    console.error(USAGE);
    return 2;
  }
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort(new Error("it was interrupted"));
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    await demo(args.includes("--manual"), interrupt.signal);
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${explain(error)}`);
    return interrupt.signal.aborted ? 130 : 1;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
