/** 5,120 cases of the kernel fuzzer; `npm run fuzz` goes on from here, with other seeds. */
import { afterAll, expect, test } from "vitest";
import { Agent } from "./agent.ts";
import { inProcess } from "./answerer.ts";
import { type Failure, describe as tell, emptyTally, runWorld } from "./pipeline.ts";
import { cannotRun } from "./requirements.ts";

const SEED = 1;
const WORLDS = 20;
const why = cannotRun();
const agents: Agent[] = [];

afterAll(() => {
  for (const a of agents) a.close();
});

test.skipIf(why !== null)(
  `random packets through random networks: kernel and walk agree${why === null ? "" : ` (skipped: ${why})`}`,
  async () => {
    const agent = new Agent();
    agents.push(agent);
    const tally = emptyTally();
    for (let n = 0; n < WORLDS; n++)
      await runWorld(
        agent,
        inProcess,
        n,
        { seed: SEED, filter: { only: null, without: new Set() }, traceShare: 0.1 },
        tally,
      );
    expect(tally.failures.map((f: Failure) => tell(f, SEED))).toEqual([]);
    expect(tally.passed).toBeGreaterThan(4900);
  },
  300_000,
);
