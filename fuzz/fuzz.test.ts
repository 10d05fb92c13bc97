/** 5,120 known cases of the kernel fuzzer, and as many that are other ones each day; `npm run fuzz` goes on from here, with other seeds. */
import { afterAll, expect, test } from "vitest";
import { Agent } from "./agent.ts";
import { inProcess } from "./answerer.ts";
import { type Failure, describe as tell, emptyTally, runWorld } from "./pipeline.ts";
import { cannotRun } from "./requirements.ts";

/** `20261231`: whoever reads of a difference can have it again. */
const TODAY = Number(new Date().toISOString().slice(0, 10).replaceAll("-", ""));
const WORLDS = 20;
const why = cannotRun();
const agents: Agent[] = [];

afterAll(() => {
  for (const a of agents) a.close();
});

test.skipIf(why !== null).each([1, TODAY])(
  `random packets through random networks: kernel and walk agree, seed %i${why === null ? "" : ` (skipped: ${why})`}`,
  async (seed) => {
    const agent = new Agent();
    agents.push(agent);
    const tally = emptyTally();
    for (let n = 0; n < WORLDS; n++)
      await runWorld(agent, inProcess, n, { seed, filter: { only: null, without: new Set() }, traceShare: 0.1 }, tally);
    expect(tally.failures.map((f: Failure) => tell(f, seed))).toEqual([]);
    expect(tally.passed).toBeGreaterThan(4900);
  },
  600_000,
);
