// A part of a crowd. Each action opens its store and a session of its own, as a program would; only
// the start of Deno is left out. For each line with moments it answers with the samples of all.
import {
  clearOidcCredentials,
  createSession,
  CredentialsBackendError,
  KvCredentialsBackend,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { delay } from "../../../backends/common/promises.ts";
import { linesOf } from "../../support/lines_of.ts";
import type { CrowdAction, Moment } from "./crowd_plan.ts";
import type { CrowdBackend } from "./crowd_store.ts";

/** The first line. */
export interface CrowdSetup {
  readonly issuer: string;
  readonly clientId: string;
  /** By person. */
  readonly backends: CrowdBackend[];
}

/** How one action went. */
export interface Sample {
  /** A start with an expired token whose refresh another program did is `joined`. */
  readonly action: CrowdAction | "joined";
  /** With all repeats. */
  readonly ms: number;
  /** Requests to Vault; of Deno KV they are not known. */
  readonly requests: number;
  /** Those of them that change something: each is one entry in the log of a cluster. */
  readonly writes: number;
  /** Codes of the errors of a store, after each of which the action was tried again. */
  readonly troubles: string[];
  /** Why the action was given up. */
  readonly error?: string;
}

const PAUSE_MS = 250;
const HOUR_MS = 3_600_000;
/** A person who has run a cell this often calls somebody. */
const MOST_TRIES = 20;

const lines = linesOf(Deno.stdin.readable);
const setup: CrowdSetup = JSON.parse((await lines.next()).value!);
for await (const line of lines) {
  const samples = await Promise.all(playAll(JSON.parse(line)));
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(samples)}\n`));
}
Deno.exit(); // an operation of Deno KV that was given up would keep the process

/** Plays each moment at its time. A notebook does one thing after the other. */
function playAll(moments: Moment[]): Promise<Sample>[] {
  const begin = performance.now();
  const before = new Map<number, Promise<unknown>>();
  return moments.toSorted((a, b) => a.atMs - b.atMs).map((moment) => {
    const free = before.get(moment.person);
    const played = (async () => {
      await free;
      await delay(Math.max(0, begin + moment.atMs - performance.now()));
      return await play(moment);
    })();
    before.set(moment.person, played);
    return played;
  });
}

async function play({ person, action, hours }: Moment): Promise<Sample> {
  const begin = performance.now();
  const troubles: string[] = [];
  const events = new Set<string>();
  let [requests, writes] = [0, 0];
  const counted: typeof fetch = (input, init) => {
    requests++;
    if (init?.method !== "GET") writes++;
    return fetch(input, init);
  };
  let error: string | undefined;
  const backend = open(setup.backends[person]!, counted);
  try {
    await persist(() => act(person, action, hours, backend, events), troubles);
  } catch (cause) {
    error = String(cause).slice(0, 300);
  } finally {
    await backend.close();
  }
  const ms = performance.now() - begin;
  const told = action === "sign in" || action === "sign out"
    ? action
    : events.has("refresh_started")
    ? "refresh"
    : action === "refresh" || events.has("refresh_joined")
    ? "joined"
    : "start";
  return { action: told, ms, requests, writes, troubles, ...(error !== undefined && { error }) };
}

async function act(
  person: number,
  action: CrowdAction,
  hours: number,
  credentialsBackend: OidcCredentialsBackend,
  events: Set<string>,
): Promise<void> {
  const { issuer, clientId } = setup;
  const { audience } = setup.backends[person]!;
  const identity = { issuer, clientId, credentialsBackend, ...(audience && { audience }) };
  if (action === "sign out") {
    const { revocation } = await clearOidcCredentials({ ...identity, revoke: true });
    // Another try finds that the first one has removed the entry.
    if (!["revoked", "nothing_to_revoke"].includes(revocation)) throw new Error(revocation);
    return;
  }
  const session = await createSession({
    ...identity,
    interactive: action === "sign in",
    onDeviceCode: () => {},
    now: () => Date.now() + hours * HOUR_MS,
    onEvent: ({ type }) => void events.add(type),
  });
  if (await session.accessToken() === "") throw new Error("there is no bearer");
  await session.close();
}

function open({ vault, kv }: CrowdBackend, counted: typeof fetch) {
  return vault === undefined
    ? new KvCredentialsBackend(kv)
    : new VaultCredentialsBackend({ ...vault, fetch: counted });
}

/** Does it again after an error of the store, as a person does who runs a cell again. */
async function persist(act: () => Promise<void>, troubles: string[]): Promise<void> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const ofStore = [error, (error as Error).cause].find((one) =>
        one instanceof CredentialsBackendError
      );
      if (ofStore === undefined || troubles.length === MOST_TRIES) throw error;
      troubles.push((ofStore as CredentialsBackendError).code);
    }
    await delay(PAUSE_MS);
  }
}
