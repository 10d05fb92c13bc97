/** What a long run says of itself: a line of JSON for every 10,000 cases. */
import { appendFileSync } from "node:fs";
import { CASES_PER_WORLD } from "./generate/index.ts";
import type { Tally } from "./pipeline.ts";

const EVERY = 10_000;

export class Progress {
  readonly #file: string;
  readonly #seed: number;
  readonly #start: number;
  #lines = 0;

  /** `start`: performance.now() at the beginning. */
  constructor(file: string, seed: number, start: number) {
    this.#file = file;
    this.#seed = seed;
    this.#start = start;
  }

  /** So many worlds were begun. Adds a line when the next 10,000 cases are through. */
  worlds(n: number, tally: Tally): void {
    const cases = n * CASES_PER_WORLD;
    if (cases < (this.#lines + 1) * EVERY) return;
    this.#lines = Math.floor(cases / EVERY);
    const seconds = (performance.now() - this.#start) / 1000;
    const line = {
      seed: this.#seed,
      cases,
      seconds: Math.round(seconds),
      rate: Math.round(cases / seconds),
      failed: tally.failed,
      inconclusive: [...tally.inconclusive.values()].reduce((a, b) => a + b, 0),
      secondLook: tally.unsteady,
      builtAnew: tally.anew.length,
      rulesCompared: tally.traced,
      entriesCompared: tally.listed,
      memoryMb: Math.round(process.memoryUsage().rss / 2 ** 20),
      slowestMs: Math.round(tally.slowest.ms),
    };
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
    process.stderr.write(
      `${cases} cases, ${line.rate}/s, ${line.failed} failed, ${line.builtAnew} agreed when built anew, ${line.memoryMb} MB\n`,
    );
  }
}
