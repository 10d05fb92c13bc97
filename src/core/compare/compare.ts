/** What changed between two snapshots, as the model sees them. */
import { actualLinks } from "../diff/actual.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";
import { knownAddresses, lostEntries } from "./conntrack.ts";
import { compareFabric, compareFiles } from "./files.ts";
import { compareItems } from "./items.ts";
import { compareObjects } from "./objects.ts";
import { PIECES } from "./pieces.ts";
import { attributePods } from "./pods.ts";
import { Report } from "./report.ts";
import { compareChains, type ComparedChain } from "./rules.ts";
import { compareSets, setsOf } from "./sets.ts";
import { SETTINGS } from "./settings.ts";
import { standInsOf, type StandIns } from "./stand-ins.ts";
import { bothHave, type Both, type State } from "./state.ts";
import { nftChains, xtChains } from "./tables.ts";
import type { Comparison } from "./types.ts";

export interface CompareOptions {
  /** Only these machines' namespaces; the cluster's objects are compared all the same. */
  nodes?: readonly string[];
  onProgress?: (progress: { done: number; total: number; place: string }) => void;
}

const lineOf =
  (snapshot: Snapshot) =>
  (source: Source): string =>
    snapshot.line(source);

function compareTables(
  both: Both,
  standIns: readonly [StandIns, StandIns],
  states: readonly [State, State],
  report: Report,
): void {
  const chains = (
    make: (ns: Namespace, standIns: StandIns, line: (source: Source) => string) => ComparedChain[],
  ): void =>
    compareChains(
      both.place,
      make(both.before, standIns[0], lineOf(states[0].snapshot)),
      make(both.after, standIns[1], lineOf(states[1].snapshot)),
      report,
    );
  if (bothHave(both, ["iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"], "iptables", report))
    chains(xtChains);
  if (bothHave(both, ["nft"], "nftables", report)) chains(nftChains);
  // A ruleset that is missing on both sides is empty in both, and one that is missing on one side has been told.
  if (bothHave(both, ["ipset"], "ipset", report))
    compareSets(
      both.place,
      setsOf(both.before, standIns[0], lineOf(states[0].snapshot)),
      setsOf(both.after, standIns[1], lineOf(states[1].snapshot)),
      report,
    );
}

function compareNamespace(
  both: Both,
  standIns: readonly [StandIns, StandIns],
  states: readonly [State, State],
  report: Report,
): void {
  for (const { kind, aspects, items } of [...PIECES, ...SETTINGS]) {
    if (bothHave(both, aspects, kind, report))
      compareItems(both.place, kind, items(both.before, standIns[0]), items(both.after, standIns[1]), report);
  }
  compareTables(both, standIns, states, report);
}

/** Namespaces that came or went: a whole machine is told once, a pod's namespace by the pod. */
function comings(before: Snapshot, after: Snapshot, chosen: (ns: Namespace) => boolean, report: Report): void {
  const one = (from: Snapshot, others: Snapshot, say: "added" | "removed"): void => {
    const there = new Set(others.namespaces.map((ns) => ns.place));
    const machines = new Set(others.namespaces.map((ns) => ns.node));
    for (const ns of from.namespaces) {
      if (there.has(ns.place) || !chosen(ns)) continue;
      const source = { file: `${ns.dir}/addr.json`, line: 1 };
      const links = actualLinks(ns, () => undefined).map(({ state }) => state.name);
      const isMachine = ns.place === `${ns.node}/host`;
      if (!isMachine && !machines.has(ns.node)) continue;
      report[say](ns.place, isMachine ? "node" : "namespace", ns.place, {
        text: `${ns.place} (${links.join(", ")})`,
        source,
      });
    }
  };
  one(before, after, "removed");
  one(after, before, "added");
}

/**
 * Compares two snapshots of one cluster, without walks. What a program or the kernel picks at random, counts, or learns from packets makes
 * no difference by itself; a rule that moved only past rules that no packet meets beside it makes none, either. What is missing on one side
 * alone is in `unknown`.
 */
export function compare(before: State, after: State, options: CompareOptions = {}): Omit<Comparison, "walks"> {
  const report = new Report();
  const standIns = standInsOf(before, after);
  const chosen = (ns: Namespace): boolean => options.nodes?.includes(ns.node) !== false;
  compareObjects(before.snapshot, after.snapshot, report);
  compareFabric(before.snapshot, after.snapshot, report);
  comings(before.snapshot, after.snapshot, chosen, report);
  const others = new Map(after.snapshot.namespaces.map((ns) => [ns.place, ns]));
  const shared = before.snapshot.namespaces.flatMap((ns): Both[] => {
    const other = others.get(ns.place);
    return other === undefined || !chosen(ns) ? [] : [{ place: ns.place, before: ns, after: other }];
  });
  const known = [knownAddresses(before.snapshot), knownAddresses(after.snapshot)] as const;
  shared.forEach((both, i) => {
    if (bothHave(both, ["conntrack", "conntrack6"], "conntrack", report))
      compareItems(
        both.place,
        "conntrack",
        lostEntries(both.before, known[0]),
        lostEntries(both.after, known[1]),
        report,
      );
    compareNamespace(both, standIns, [before, after], report);
    options.onProgress?.({ done: i + 1, total: shared.length, place: both.place });
  });
  const places = new Set(shared.map((both) => both.place));
  compareFiles(before.snapshot, after.snapshot, places, report);
  attributePods(before, after, report.changes);
  return { changes: report.changes, unknown: report.unknown };
}
