/** How to write for the terminal at hand: colour, width, warnings, progress. */
import { UsageError } from "./exit.ts";
import type { Io } from "./io.ts";
import type { Progress } from "./session.ts";
import type { Snapshot } from "../core/model/snapshot.ts";
import { coloured, PLAIN, type Style } from "./text/style.ts";

export type ColorChoice = "auto" | "always" | "never";

/** Colours for results: `auto` is a terminal's, unless NO_COLOR is set (no-color.org) or TERM is dumb. */
export function styleFor(choice: ColorChoice, io: Io): Style {
  switch (choice) {
    case "always":
      return coloured();
    case "never":
      return PLAIN;
    case "auto": {
      const wanted = (io.env["NO_COLOR"] ?? "") === "" && io.env["TERM"] !== "dumb";
      return io.out.isTTY && wanted ? coloured() : PLAIN;
    }
  }
}

/** Columns for results: COLUMNS if set, else the terminal's; no limit into files and pipes. */
export function widthFor(io: Io): number {
  const set = Number(io.env["COLUMNS"]);
  if (Number.isInteger(set) && set >= 40) return set;
  return io.out.isTTY ? Math.max(40, io.out.columns ?? 80) : Number.POSITIVE_INFINITY;
}

/** More problems than this are counted; `kubewalk show` lists all. */
const MOST_WARNINGS = 10;

/** Says on stderr which files of a snapshot could not be read as what they should be. */
export async function warnOfProblems(snapshot: Snapshot, io: Io): Promise<void> {
  const { problems } = snapshot;
  for (const p of problems.slice(0, MOST_WARNINGS)) await io.err.write(`warning: ${p.message}\n`);
  const more = problems.length - MOST_WARNINGS;
  if (more > 0) await io.err.write(`warning: and ${more} more (kubewalk show lists them)\n`);
}

/** Work shorter than this, in milliseconds, shows no progress. */
const PATIENCE = 700;

/** A line on stderr that follows long work, on a terminal only; `end` removes it. `now` is the time in milliseconds. */
export function progressLine(io: Io, now: () => number): { show: (p: Progress) => void; end: () => Promise<void> } {
  const start = now();
  let last = start;
  let shown = false;
  return {
    show({ done, total, place }) {
      if (!io.err.isTTY || now() - start < PATIENCE || now() - last < 100) return;
      last = now();
      shown = true;
      // Reading is synchronous and so are a terminal's writes: nothing is gained by waiting.
      void io.err.write(`\r\u001B[Kreading ${place} (${done} of ${total})`).catch(() => undefined);
    },
    async end() {
      if (shown) await io.err.write("\r\u001B[K");
    },
  };
}

/** One of the allowed words, or UsageError that lists them. */
export function oneOf<T extends string>(value: string, allowed: readonly T[], what: string): T {
  const found = allowed.find((a) => a === value);
  if (found === undefined) throw new UsageError(`${what} "${value}" is unknown; allowed are ${allowed.join(", ")}`);
  return found;
}
