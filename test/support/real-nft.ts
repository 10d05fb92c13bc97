/** The real nft, in a network namespace that is gone when the command ends. */
import { spawnSync } from "node:child_process";

function inNamespace(script: string, input: string): string {
  const ran = spawnSync("unshare", ["-n", "sh", "-c", script], { input, encoding: "utf8", maxBuffer: 1 << 28 });
  if (ran.error !== undefined) throw ran.error;
  if (ran.status !== 0) throw new Error(`${script}: status ${ran.status}: ${ran.stderr.trim()}`);
  return ran.stdout;
}

let known: string | null | undefined;

/** Why nft cannot be run here: no nft, or no right to make a namespace. Null when it can. */
export function noRealNft(): string | null {
  if (known === undefined) {
    try {
      inNamespace("nft -j list ruleset", "");
      known = null;
    } catch (error) {
      known = `nft cannot be run in a namespace of its own: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return known;
}

/** Loads a ruleset of nft text and gives back what `nft -j list ruleset` then prints. Throws with nft's message when it does not load. */
export function loadAndList(ruleset: string): string {
  return inNamespace("nft -f - && nft -j list ruleset", ruleset);
}
