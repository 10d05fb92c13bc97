/** Waiting until a daemon works. */
import { LabError, type Lab } from "../parts.ts";

/** Milliseconds between two looks. */
const PAUSE = 100;

/**
 * Waits until `check` says null; until then it says what is still missing. Rejects with LabError naming that, and the last lines of the
 * logs of `programs`, after `seconds`.
 */
export async function until(
  lab: Lab,
  what: string,
  programs: readonly string[],
  seconds: number,
  check: () => Promise<string | null>,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const missing = await check();
    if (missing === null) return;
    if (performance.now() > end)
      throw new LabError(`${what}: ${missing} after ${seconds} s${await tails(lab, programs)}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function tails(lab: Lab, programs: readonly string[]): Promise<string> {
  const logs = await Promise.all(
    programs.map(async (name) => {
      const lines = (await lab.logOf(name))
        .trimEnd()
        .split("\n")
        .filter((line) => line !== "");
      return lines
        .slice(-3)
        .map((line) => `\n  ${name}: ${line}`)
        .join("");
    }),
  );
  return logs.join("");
}
