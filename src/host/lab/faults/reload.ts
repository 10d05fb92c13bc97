/** Rules made anew for changed objects, as the networks' own programs do when they hear of a change. */
import type { Claim } from "../../../core/networks/claim.ts";
import type { WrittenObject } from "../../../core/networks/render/objects.ts";
import { nftFileText } from "../../../core/networks/render/nft-file.ts";
import { ipsetRestoreText, xtRestoreText } from "../../../core/networks/render/xt-restore.ts";
import { computeFor } from "../intended.ts";
import type { Job, Lab } from "../parts.ts";
import { objectsNow } from "./objects.ts";

/** What the networks of a lab would program for these objects. */
function claimsFor(lab: Lab, given: readonly WrittenObject[]): readonly Claim[] {
  // Renderers write into objects what controllers would.
  const objects = given.map((each) => ({ ...each, value: structuredClone(each.value) }));
  return computeFor(lab.scenario, objects).claims;
}

/** Sets, with what was in them before gone. */
const freshSets = (text: string): string =>
  text.replaceAll(/^create (\S+) .*$/gm, (line, name: string) => `${line}\nflush ${name}`);

/** Tables of nftables, with what was in them before gone. */
function freshTables(text: string): string {
  const tables = [...text.matchAll(/^table (\S+ \S+) \{/gm)].map(([, name = ""]) => name);
  return [...tables.flatMap((name) => [`add table ${name}`, `delete table ${name}`]), text].join("\n");
}

/** The rules of a place as text, by the program that loads them. */
function loads(claims: readonly Claim[]): { argv: string[]; input: string }[] {
  return [
    { argv: ["ipset", "-exist", "restore"], input: freshSets(ipsetRestoreText(claims)) },
    { argv: ["iptables-restore"], input: xtRestoreText(claims, "ip") },
    { argv: ["ip6tables-restore"], input: xtRestoreText(claims, "ip6") },
    { argv: ["nft", "-f", "-"], input: freshTables(nftFileText(claims)) },
  ];
}

/** Sets of ipset that nobody wants any more, by place. */
function goneSets(old: readonly Claim[], now: readonly Claim[]): { at: string; name: string }[] {
  const namesOf = (claims: readonly Claim[]): string[] =>
    [...new Set(claims.map(({ at }) => at))].flatMap((at) => {
      const text = ipsetRestoreText(claims.filter((claim) => claim.at === at));
      return [...text.matchAll(/^create (\S+) /gm)].map(([, name]) => `${at} ${name}`);
    });
  const kept = new Set(namesOf(now));
  return namesOf(old)
    .filter((each) => !kept.has(each))
    .map((each) => ({ at: each.split(" ")[0] ?? "", name: each.split(" ")[1] ?? "" }));
}

/**
 * Makes the rules of every node as the networks would for the objects as they are now. Places whose rules stay the same are left alone; where
 * they change, tables are loaded whole, so that rules of others in them are gone. Rejects with LabError.
 */
export async function reloadRules(lab: Lab, before: readonly WrittenObject[]): Promise<void> {
  const [old, now] = [claimsFor(lab, before), claimsFor(lab, objectsNow(lab))];
  const jobs = lab.machines.flatMap((machine): Job[] => {
    const at = `${machine}/host`;
    const of = (claims: readonly Claim[]): ReturnType<typeof loads> => loads(claims.filter((claim) => claim.at === at));
    const was = of(old);
    return of(now).flatMap((load, i) =>
      load.input === was[i]?.input || load.input.trim() === "" ? [] : [{ at, argv: load.argv, input: load.input }],
    );
  });
  for (const job of jobs) await lab.must([job]);
  for (const { at, name } of goneSets(old, now)) await lab.run({ at, argv: ["ipset", "destroy", name] });
}
