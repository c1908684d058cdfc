import { writeBesidePython } from "./beside_python.ts";
import { checkHistory } from "./check_history.ts";
import { crowd as playCrowd } from "./crowd.ts";
import { CROWD_STORES } from "./crowd_store.ts";
import { cutPower, POWER_CALLS } from "./cut_power.ts";
import { faultNetwork } from "./fault_network.ts";
import { fillDisk } from "./fill_disk.ts";
import { killLeader } from "./kill_leader.ts";
import { killServer } from "./kill_server.ts";
import { killWriters } from "./kill_writers.ts";
import { mixedWriters } from "./mixed_writers.ts";
import { mutateFile } from "./mutate_file.ts";
import { killRefresh } from "./kill_refresh.ts";
import { pauseRefresh } from "./pause_refresh.ts";
import { refuseWrites } from "./refuse_writes.ts";
import { stampede } from "./stampede.ts";
import { FILE_STORES, LOCAL_STORES, SERVER_STORES } from "./store.ts";
import type { TortureOptions } from "./torture_result.ts";
import type { TortureMode } from "./torture_mode.ts";
import { WRITE_REFUSALS } from "./write_refusal.ts";

/** The mode without a flag: the file backend under kills, races, damage and a full disk. */
const file: TortureMode = {
  about: "the file backend",
  counts: {
    kills: [2000, "writers killed with SIGKILL"],
    rounds: [100, "rounds of many processes, one token"],
    processes: [64, "processes in a round"],
    updates: [10_000, "updates by 8 processes, one file"],
    mutations: [10_000, "byte flips and cuts of the file"],
    fills: [500, "writes to a full disk"],
  },
  tortures: ({ kills, rounds, processes, updates, mutations, fills }) => [
    { count: kills!, run: killWriters },
    { count: rounds!, run: (options) => stampede({ ...options, processes: processes! }) },
    { count: updates!, run: mixedWriters },
    { count: mutations!, run: mutateFile },
    { count: fills!, run: fillDisk },
  ],
};

const scanner: TortureMode = {
  about: "writers killed on Windows while a scanner holds their files",
  counts: {
    kills: [50, "writers killed"],
    longest: [4000, "longest life of a writer in milliseconds"],
  },
  tortures: ({ kills, longest }) => [{
    count: kills!,
    run: (options) => killWriters({ ...options, isScanned: true, longestMs: longest! }),
  }],
};

const servers: TortureMode = {
  about: "the stores of `deno task servers`",
  counts: {
    rounds: [50, "rounds of many processes, one token"],
    processes: [32, "processes in a round"],
    kills: [200, "refreshes with the server killed"],
  },
  stores: SERVER_STORES,
  tortures: ({ rounds, processes, kills }, store) => {
    const startStore = store!.start;
    return [
      {
        count: rounds!,
        run: (options) => stampede({ ...options, processes: processes!, startStore }),
      },
      { count: kills!, run: (options) => killServer({ ...options, startStore }) },
    ];
  },
};

const full: TortureMode = {
  about: "refreshes while the store is full, denied or of a newer version",
  counts: { rounds: [20, "refreshes for each store and cause"] },
  stores: FILE_STORES,
  tortures: ({ rounds }, store) =>
    WRITE_REFUSALS[store!.name]!.flatMap((refusal) =>
      (refusal.isOnlyEarly?.includes(store!.name) ? [false] : [false, true]).map((isLate) => ({
        count: rounds!,
        run: (options: TortureOptions) =>
          refuseWrites({ ...options, startStore: store!.start, refusal, isLate }),
      }))
    ),
};

const pause: TortureMode = {
  about: "a process that is stopped at each of 7 steps of its refresh, by SIGSTOP",
  counts: {
    rounds: [20, "pauses for each store and step"],
    seconds: [27, "shortest pause; a lease lasts 25"],
    longest: [60, "longest pause in seconds"],
  },
  stores: { ...FILE_STORES, ...SERVER_STORES },
  tortures: ({ rounds, seconds, longest }, store) => [{
    count: rounds!,
    run: (options) =>
      pauseRefresh({
        ...options,
        startStore: store!.start,
        pauseMs: 1000 * seconds!,
        longestMs: 1000 * Math.max(seconds!, longest!),
        tolerated: store!.name in SERVER_STORES ? 1 / 140 : 0,
      }),
  }],
};

const killed: TortureMode = {
  about: "a process that is killed at each of 7 steps of its refresh, and the next start",
  counts: { rounds: [20, "kills for each store and step"] },
  stores: { ...FILE_STORES, ...SERVER_STORES },
  tortures: ({ rounds }, store) => [{
    count: rounds!,
    run: (options) => killRefresh({ ...options, startStore: store!.start }),
  }],
};

const history: TortureMode = {
  about: "calls of 4 processes to one key, checked for linearizability",
  counts: {
    rounds: [20, "histories for each store"],
    calls: [100, "calls of each process in a history"],
  },
  stores: { ...LOCAL_STORES, ...SERVER_STORES },
  tortures: ({ rounds, calls }, store) => [{
    count: rounds!,
    run: (options) => checkHistory({ ...options, startStore: store!.start, calls: calls! }),
  }],
};

const python: TortureMode = {
  about: "the ValidMind Python library beside this module, on one file",
  counts: {
    writes: [1000, "writes and sign-outs of each program"],
  },
  tortures: ({ writes }) => [{ count: writes!, run: writeBesidePython }],
};

const proxy: TortureMode = {
  about: "refreshes through a network that cuts, delays and loses answers",
  counts: {
    rounds: [30, "rounds of some processes, one token"],
    processes: [4, "processes in a round"],
  },
  stores: SERVER_STORES,
  tortures: ({ rounds, processes }, store) => [{
    count: rounds!,
    run: (options) => faultNetwork({ ...options, startStore: store!.start, processes: processes! }),
  }],
};

const cluster: TortureMode = {
  about: "a Vault of three nodes whose leader is killed in each round",
  counts: {
    rounds: [20, "rounds of many processes, one token"],
    processes: [32, "processes in a round"],
  },
  tortures: ({ rounds, processes }) => [{
    count: rounds!,
    run: (options) => killLeader({ ...options, processes: processes! }),
  }],
};

const crowd: TortureMode = {
  about: "many people, each with an entry and two notebooks, at a cluster of Vault and at denokv",
  counts: {
    people: [200, "people"],
    processes: [4, "processes that their notebooks are spread over"],
    seconds: [60, "length of each time of work, one of them with the leader killed"],
    starts: [2, "starts of each notebook in that time"],
    refreshes: [1, "refreshes of each person in that time"],
  },
  stores: CROWD_STORES,
  tortures: ({ people, processes, seconds, starts, refreshes }, store) => [{
    count: people!,
    run: (options) =>
      playCrowd({
        ...options,
        processes: processes!,
        seconds: seconds!,
        starts: starts!,
        refreshes: refreshes!,
        startStore: CROWD_STORES[store!.name]!,
      }),
  }],
};

const power: TortureMode = {
  about: "every state of the disk that POSIX allows after a power cut during a call",
  counts: { rounds: [3, "recordings of each call"] },
  tortures: ({ rounds }) =>
    POWER_CALLS.map((call) => ({
      count: rounds!,
      run: (options) => cutPower({ ...options, call }),
    })),
};

/** The modes by their flags; the empty one has none. */
export const MODES: Readonly<Record<string, TortureMode>> = {
  "": file,
  scanner,
  servers,
  full,
  pause,
  killed,
  history,
  python,
  proxy,
  cluster,
  crowd,
  power,
};
