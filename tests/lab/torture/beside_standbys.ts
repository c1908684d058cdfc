import { credentialKey, loadBackendFromEnv, type OidcCredentialsBackend } from "@validmind/auth";
import { ProviderProcess } from "../../support/provider_process.ts";
import { withEnv } from "../../support/own_env.ts";
import { type Attempt, attempt, describeAttempt, startAttempt } from "./attempt.ts";
import { Random } from "./random.ts";
import { COSTLY, endStop } from "./stop_refresh.ts";
import { STEPS } from "./stop_point.ts";
import type { ClusterStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const PROCESSES = 4;
/** Sign-ins that are tortured side by side: after a kill the others wait for half a minute. */
const LANES = 4;
const PAST = "2020-01-01T00:00:00Z";
/** The longest time until all nodes know a write. */
const SETTLED_MS = 20_000;
const POLL_MS = 50;

/** The cluster with the sign-in of one lane. */
interface World {
  readonly store: ClusterStore;
  readonly provider: ProviderProcess;
  readonly audience: string;
}

/**
 * Four processes with one expired token, each by another node of a cluster whose standbys answer reads.
 * In a third of the rounds a fifth one is killed at a step of its refresh, in a third a person signs out
 * meanwhile. At the begin and in the middle the active node steps down.
 */
export async function tortureBesideStandbys(options: TortureOptions): Promise<TortureResult> {
  await using store = await options.startStore(options.folder) as ClusterStore;
  await using provider = await ProviderProcess.start();
  const lanes = Array.from({ length: LANES }, (_, at) => {
    return new Lane({ store, provider, audience: `lane-${at}` }, new Random(options.seed + at));
  });
  const rounds = Math.ceil(options.count / LANES);
  for (const part of [Math.ceil(rounds / 2), Math.floor(rounds / 2)]) {
    const running = Promise.all(lanes.map((lane) => lane.run(part)));
    await store.stepDown(); // while they sign in and refresh
    await running;
  }
  const sum = (figure: keyof Lane["figures"]) =>
    lanes.reduce((total, { figures }) => total + figures[figure], 0);
  const failures = lanes.flatMap((lane) => lane.failures);
  const names = Object.keys(lanes[0]!.figures) as (keyof Lane["figures"])[];
  return { figures: Object.fromEntries(names.map((name) => [name, sum(name)])), failures };
}

/** The rounds with one sign-in, one after the other. */
class Lane {
  readonly failures: string[] = [];
  readonly figures = {
    "starts": 0,
    "sign-ins": 0,
    "sign-ins refused": 0,
    "sign-outs": 0,
    "sign-outs undone": 0,
    "kills": 0,
    "grants ended by the kill": 0,
    "grants lost": 0,
  };
  readonly #world: World;
  readonly #random: Random;
  readonly #key: string;
  #isSignedIn = false;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
    const { provider: { issuer, clientId }, audience } = world;
    this.#key = credentialKey(issuer, clientId, audience);
  }

  async run(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) await this.#round();
  }

  async #round() {
    if (!this.#isSignedIn) await this.#signIn();
    if (!this.#isSignedIn) return;
    await this.#expire();
    const event = this.#random.int(0, 2);
    const first = this.#random.int(0, this.#nodes.length - 1);
    const startAll = () => Array.from({ length: PROCESSES }, (_, at) => this.#start(first + at));
    if (event === 0) await this.#killedBeside(startAll);
    else if (event === 1) await this.#signedOutBeside(startAll());
    else this.#judge(await Promise.all(startAll()), false);
  }

  get #nodes() {
    return this.#world.store.nodes;
  }

  #env(node: number): Record<string, string> {
    return this.#nodes[node % this.#nodes.length]!;
  }

  /** The store as a process knows it that has just begun, at a node. */
  async #with<T>(node: number, use: (backend: OidcCredentialsBackend) => Promise<T>): Promise<T> {
    const backend = await withEnv(this.#env(node), async () => (await loadBackendFromEnv())!);
    try {
      return await use(backend);
    } finally {
      await backend.close?.();
    }
  }

  async #signIn() {
    const { provider, audience } = this.#world;
    this.figures["sign-ins"]++;
    try {
      await this.#with(this.#random.int(0, 2), (backend) => provider.signIn(backend, { audience }));
      this.#isSignedIn = true;
    } catch (error) {
      this.figures["sign-ins refused"]++;
      this.failures.push(`a sign-in: ${error}`);
    }
  }

  async #expire() {
    await this.#with(this.#random.int(0, 2), async (backend) => {
      await backend.withLock!(this.#key, async () => {
        const entry = await backend.get(this.#key);
        if (entry) await backend.put(this.#key, { ...entry, expires_at: PAST });
      });
    });
  }

  async #start(node: number): Promise<Attempt> {
    this.figures.starts++;
    const { provider, audience } = this.#world;
    return await attempt({ provider, audience, env: this.#env(node) });
  }

  async #killedBeside(startAll: () => Promise<Attempt>[]) {
    const step = STEPS[this.#random.int(0, STEPS.length - 1)]!;
    const { provider, audience } = this.#world;
    const signedIn = { provider, audience, env: this.#env(this.#random.int(0, 2)) };
    const process = startAttempt(signedIn, step); // it is ahead of the others
    const starts = startAll();
    if (await endStop(process, this.#random.int(0, 500), "SIGKILL")) this.figures.kills++;
    this.#judge(await Promise.all(starts), COSTLY.includes(step));
    if (!this.#isSignedIn) return;
    this.#judge([await this.#start(this.#random.int(0, 2))], COSTLY.includes(step));
  }

  async #signedOutBeside(starts: Promise<Attempt>[]) {
    this.figures["sign-outs"]++;
    this.#isSignedIn = false;
    await new Promise((resolve) => setTimeout(resolve, this.#random.int(0, 1_500)));
    await this.#with(this.#random.int(0, 2), async (backend) => await backend.delete(this.#key));
    const ended = await Promise.all(starts);
    const odd = ended.filter(({ token, codes }) => !token && codes[0] !== "login_required");
    for (const one of odd) this.failures.push(`beside a sign-out: ${describeAttempt(one)}`);
    if (await this.#isGone()) return;
    this.figures["sign-outs undone"]++;
    this.failures.push("a sign-out was undone");
  }

  /** Whether no node has the entry, once all know of the last write. */
  async #isGone(): Promise<boolean> {
    const deadline = performance.now() + SETTLED_MS;
    for (;;) {
      const found: unknown[] = [];
      for (const node of this.#nodes.keys()) {
        found.push(await this.#with(node, async (backend) => await backend.get(this.#key)));
      }
      if (found.every((entry) => entry === undefined)) return true;
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Each start has to get a token, unless a kill has cost the sign-in. */
  #judge(ended: readonly Attempt[], mayEnd: boolean) {
    const failed = ended.filter(({ token }) => token === undefined);
    if (failed.length === 0) return;
    const isEnded = failed.some(({ codes }) => codes[0] === "login_required");
    if (isEnded) this.#isSignedIn = false;
    if (isEnded && mayEnd) {
      this.figures["grants ended by the kill"]++;
      return;
    }
    if (isEnded) this.figures["grants lost"]++;
    for (const one of failed) this.failures.push(describeAttempt(one));
  }
}
