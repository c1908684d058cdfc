import { credentialKey, KvCredentialsBackend } from "@validmind/auth";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { delay } from "../../../backends/common/promises.ts";
import { ALL, type RunningDeno, startDeno } from "../../support/deno_process.ts";
import { cpuMsOf, pidsOf } from "./cpu_time.ts";
import type { CrowdSetup, Sample } from "./crowd_child.ts";
import { CrowdPlan, type CrowdSize, type Moment, NOTEBOOKS } from "./crowd_plan.ts";
import type { ProviderTold } from "./crowd_provider.ts";
import type { CrowdBackend, CrowdStore } from "./crowd_store.ts";
import { quantile } from "./quantile.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode crowd}; `count` is the number of people. */
export interface CrowdOptions extends TortureOptions, Omit<CrowdSize, "people"> {
  /** How many processes the notebooks are spread over. */
  processes: number;
  /** How long people work. They sign in, and out, in half of that. */
  seconds: number;
  startStore: (folder: string) => Promise<CrowdStore>;
}

const CHILD = new URL("crowd_child.ts", import.meta.url).href;
const PROVIDER = new URL("crowd_provider.ts", import.meta.url).href;
/** For which a node of a cluster, or a server, is away. */
const OUTAGE_MS = 1000;

/**
 * Many people, each with an entry of their own and two notebooks: they sign in, work, work while the
 * store's leader is killed, all come at once with expired tokens, and sign out. No refresh may be done
 * twice, no grant may end, and nothing may fail for longer than a person tries again.
 */
export async function crowd(options: CrowdOptions): Promise<TortureResult> {
  const { count: people, starts, refreshes, seconds, seed, startStore, folder } = options;
  await using store = await startStore(folder);
  await using run = await CrowdRun.start(store, options);
  const plan = new CrowdPlan({ people, starts, refreshes }, seed);
  const ms = 1000 * seconds;
  await run.phase("signing in", plan.once("sign in", ms / 2));
  await run.phase("working", plan.work(ms));
  await run.phase("the leader killed", plan.work(ms), async () => {
    await delay(ms / 3);
    await store.server.kill();
    await delay(OUTAGE_MS);
    await store.server.restart();
  });
  await run.phase("all at once", plan.rush());
  await run.verifyGrants();
  await run.phase("signing out", plan.once("sign out", ms / 2));
  await run.verifyEmpty();
  return run.result();
}

class CrowdRun implements AsyncDisposable {
  readonly #options: CrowdOptions;
  readonly #store: CrowdStore;
  readonly #setup: CrowdSetup;
  readonly #provider: RunningDeno;
  readonly #processes: RunningDeno[];
  readonly #figures: TortureResult["figures"] = {};
  readonly #failures: string[] = [];
  #alive = 0;

  private constructor(
    options: CrowdOptions,
    store: CrowdStore,
    provider: RunningDeno,
    setup: CrowdSetup,
  ) {
    this.#options = options;
    this.#store = store;
    this.#provider = provider;
    this.#setup = setup;
    const { env } = store;
    this.#processes = Array.from(
      { length: options.processes },
      () => startDeno({ file: CHILD, flags: ALL, env }),
    );
  }

  static async start(store: CrowdStore, options: CrowdOptions): Promise<CrowdRun> {
    const backends: CrowdBackend[] = [];
    for (let person = 0; person < options.count; person++) {
      backends.push(await store.admit(person));
    }
    const provider = startDeno({ file: PROVIDER, flags: ALL });
    const setup = { ...JSON.parse(await provider.line()), backends };
    const run = new CrowdRun(options, store, provider, setup);
    for (const child of run.#processes) await child.write(`${JSON.stringify(run.#setup)}\n`);
    return run;
  }

  /** Plays moments, and adds what came of them to the figures. */
  async phase(
    name: string,
    moments: Moment[],
    disturb?: () => Promise<void>,
  ): Promise<void> {
    const processes = {
      store: pidsOf(this.#store.marks),
      provider: [this.#provider.pid],
      people: this.#processes.map(({ pid }) => pid),
    };
    const cpuMs = () => Object.values(processes).map(cpuMsOf);
    const before = cpuMs();
    const begin = performance.now();
    const [samples] = await Promise.all([this.#play(moments), disturb?.()]);
    const ms = performance.now() - begin;
    const busy = cpuMs().map((after, n) => after - before[n]!);
    const told = await this.#ask([]);
    const wanted = new Set(
      moments.filter(({ action }) => action === "refresh").map(({ person, hours }) =>
        `${person} ${hours}`
      ),
    ).size;
    if (told.refreshes > wanted) {
      this.#failures.push(`${name}: ${told.refreshes} refreshes of ${wanted} tokens`);
    }
    if (told.refusals > 0) this.#failures.push(`${name}: ${told.refusals} refusals`);
    this.#tell(name, samples);
    const seconds = `${told.requests} requests to the provider in ${(ms / 1000).toFixed(1)} s`;
    const shares = Object.keys(processes).map((process, n) => `${process} ${Math.round(busy[n]!)}`);
    // A process that was killed has taken its figure with it.
    this.#figures[`${name}, load`] = disturb === undefined
      ? `${seconds}; processor ms: ${shares.join(", ")}`
      : seconds;
  }

  /** Whether the provider still takes the token of each person. */
  async verifyGrants(): Promise<void> {
    const { active } = await this.#ask(await this.#tokens());
    this.#alive = active;
    const dead = this.#options.count - active;
    if (dead > 0) this.#failures.push(`${dead} dead grants`);
  }

  /** Whether nobody has an entry any more. */
  async verifyEmpty(): Promise<void> {
    const { length } = await this.#tokens();
    if (length > 0) this.#failures.push(`${length} entries are left`);
  }

  /** The access tokens that are stored. */
  async #tokens(): Promise<string[]> {
    const { issuer, clientId, backends } = this.#setup;
    const tokens: string[] = [];
    for (const { vault, kv, audience } of backends) {
      const backend = vault === undefined
        ? new KvCredentialsBackend(kv)
        : new VaultCredentialsBackend(vault);
      const entry = await backend.get(credentialKey(issuer, clientId, audience));
      if (entry !== undefined) tokens.push(entry.access_token);
      await backend.close();
    }
    return tokens;
  }

  result(): TortureResult {
    const { count, processes } = this.#options;
    return {
      name: `${count} people with ${NOTEBOOKS} notebooks each, in ${processes} processes`,
      figures: { "grants alive": this.#alive, ...this.#figures },
      failures: this.#failures,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [...this.#processes, this.#provider]) {
      await child[Symbol.asyncDispose]();
    }
  }

  async #play(moments: Moment[]): Promise<Sample[]> {
    const { processes } = this.#options;
    const played = this.#processes.map(async (child, process) => {
      const own = moments.filter(({ person, notebook }) =>
        (person + notebook) % processes === process
      );
      await child.write(`${JSON.stringify(own)}\n`);
      return JSON.parse(await child.line()) as Sample[];
    });
    return (await Promise.all(played)).flat();
  }

  async #ask(tokens: string[]): Promise<ProviderTold> {
    await this.#provider.write(`${JSON.stringify(tokens)}\n`);
    return JSON.parse(await this.#provider.line());
  }

  #tell(phase: string, samples: Sample[]): void {
    const actions = Map.groupBy(samples, ({ action }) => action);
    for (const [action, ofAction] of actions) {
      const troubles = ofAction.flatMap(({ troubles }) => troubles);
      const codes = Map.groupBy(troubles, (code) => code);
      const again = [...codes].map(([code, { length }]) => `${code} ${length}×`).join(", ");
      const errors = ofAction.flatMap(({ error }) => error ?? []);
      this.#failures.push(...errors.map((error) => `${phase}, ${action}: ${error}`));
      const times = ofAction.map(({ ms }) => ms);
      const mean = (of: (sample: Sample) => number) =>
        (ofAction.reduce((sum, sample) => sum + of(sample), 0) / ofAction.length).toFixed(1);
      const requests = mean(({ requests }) => requests);
      this.#figures[`${phase}, ${action}`] = [
        `${ofAction.length}×`,
        `p50 ${Math.round(quantile(times, 0.5))} ms`,
        `p99 ${Math.round(quantile(times, 0.99))} ms`,
        `longest ${Math.round(quantile(times, 1))} ms`,
        ...(requests === "0.0"
          ? []
          : [`${requests} requests`, `${mean(({ writes }) => writes)} writes`]),
        `errors ${errors.length}`,
        ...(again === "" ? [] : [`tried again after ${again}`]),
      ].join(" ");
    }
  }
}
