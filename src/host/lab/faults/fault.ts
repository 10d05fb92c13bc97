/** What faults share: their shape, their options, and short ways to run commands where something is broken. */
import type { Claim } from "../../../core/networks/claim.ts";
import { ipCommands } from "../../../core/networks/render/ip-commands.ts";
import { nothingMade } from "../../../core/networks/render/link-commands.ts";
import { nodeNames } from "../daemons/addresses.ts";
import { LabError, type Job, type Lab, type LabFault } from "../parts.ts";

/** A fault, with the shipped scenario in which it can be had. */
export interface ShippedFault extends LabFault {
  scenario: string;
}

export type Options = Record<string, unknown>;

export const host = (machine: string): string => `${machine}/host`;

/** A shell script in a namespace; it ends at the first command that fails. */
export const shell = (at: string, ...lines: string[]): Job => ({ at, argv: ["sh", "-euc", lines.join("\n")] });

/** Runs scripts one after the other; rejects with what the first that failed said. */
export async function sh(lab: Lab, at: string, ...lines: string[]): Promise<string> {
  const [ran] = await lab.must([shell(at, ...lines)]);
  return ran?.out ?? "";
}

/** The node that a fault is about: `node=n2`, else the `usual`-th one of the lab. Throws LabError for one that is not there. */
export function nodeOf(lab: Lab, options: Options, usual: number, option = "node"): string {
  const all = nodeNames(lab);
  const given = options[option];
  const name = given === undefined ? all[Math.min(usual, all.length) - 1] : String(given);
  if (name === undefined || !all.includes(name))
    throw new LabError(`${option}: the lab has no node ${name ?? usual}; it has ${all.join(", ") || "none"}`);
  return name;
}

/** Claims of one kind at a place. */
export function claimsAt<K extends Claim["kind"]>(lab: Lab, at: string, kind: K): Extract<Claim, { kind: K }>[] {
  return lab.intended.claims.filter(
    (claim): claim is Extract<Claim, { kind: K }> => claim.at === at && claim.kind === kind,
  );
}

/** Puts routes, neighbours and FDB entries of a host back as they were computed. */
export async function restore(lab: Lab, claims: readonly Claim[]): Promise<void> {
  for (const [at, own] of grouped(claims)) {
    const lines = ipCommands(own, nothingMade(new Map())).map((line) =>
      line.replace(" neigh add ", " neigh replace ").replace(" fdb append ", " fdb replace "),
    );
    await sh(lab, at, ...lines);
  }
}

function grouped(claims: readonly Claim[]): Map<string, Claim[]> {
  const found = new Map<string, Claim[]>();
  for (const claim of claims) found.set(claim.at, [...(found.get(claim.at) ?? []), claim]);
  return found;
}

/** A fault of commands alone: the same place, one script that breaks and one that mends. */
export function commandFault(
  about: Pick<ShippedFault, "id" | "summary" | "scenario">,
  scripts: (lab: Lab, options: Options) => { at: string; breaks: string[]; mends: string[] },
): ShippedFault {
  return {
    ...about,
    async breakIt(lab, options) {
      const { at, breaks } = scripts(lab, options);
      await sh(lab, at, ...breaks);
    },
    async mendIt(lab, options) {
      const { at, mends } = scripts(lab, options);
      await sh(lab, at, ...mends);
    },
  };
}
