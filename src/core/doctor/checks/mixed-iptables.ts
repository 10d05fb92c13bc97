/**
 * Rules of both iptables backends at work: the kernel runs both, but `iptables` shows one (iptables-nft(8)); and KUBE-FIREWALL whose
 * drop has lost its mark match, which happens when iptables of different versions write the same table
 * (kubernetes/kubernetes#112477), and then drops everything.
 */
import type { Namespace } from "../../model/namespace.ts";
import { alikeRules, type XtChain, type XtRule, type XtRuleset } from "../../model/xtables.ts";
import type { Source } from "../../model/source.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { decidedBy, failuresWhere } from "../decided.ts";

/** More lines than this are counted. */
const MOST_LINES = 5;

interface Placed {
  table: string;
  chain: XtChain;
  source: Source;
}

const countRules = (sets: readonly XtRuleset[]): number =>
  sets.reduce(
    (n, set) => set.tables.reduce((m, table) => table.chains.reduce((k, chain) => k + alikeRules(chain).length, m), n),
    0,
  );

/** The first rules that can change what becomes of a packet, else the first of all; a whole ruleset may be large. */
function telling(sets: readonly XtRuleset[]): { rules: Placed[]; sharp: boolean } {
  const sharp: Placed[] = [];
  const dull: Placed[] = [];
  for (const set of sets)
    for (const table of set.tables)
      for (const chain of table.chains)
        for (const rule of chain.rules) {
          const into = bites(rule) ? sharp : dull;
          if (into.length < MOST_LINES)
            into.push({ table: table.name, chain, source: { file: set.file, line: rule.line } });
          if (sharp.length === MOST_LINES) return { rules: sharp, sharp: true };
        }
  return sharp.length > 0 ? { rules: sharp, sharp: true } : { rules: dull, sharp: false };
}

const hasChain = (sets: readonly XtRuleset[], name: string): boolean =>
  sets.some((set) => set.tables.some((table) => table.chains.some((chain) => chain.name === name)));

/** Built-in chains that drop what no rule took. */
const policiesOf = (set: XtRuleset): Source[] =>
  set.tables.flatMap((table) =>
    table.chains.filter(({ policy }) => policy === "DROP").map(({ line }) => ({ file: set.file, line })),
  );

/** Whether a rule can change what becomes of a packet: empty chains, accepting and counting do not. */
function bites(rule: XtRule): boolean {
  switch (rule.target.t) {
    case "none":
    case "accept":
    case "return":
    case "jump":
    case "goto":
    case "side-effect":
      return false;
    default:
      return true;
  }
}

function mixed(chart: Chart, host: Namespace): Suspicion[] {
  return (["ip", "ip6"] as const).flatMap((family): Suspicion[] => {
    const sets = host.xtables.filter((set) => set.family === family);
    const legacy = sets.filter((set) => set.backend === "legacy");
    const nft = sets.filter((set) => set.backend === "nft");
    const drops = legacy.flatMap(policiesOf);
    const hidden = countRules(legacy);
    // Nearly always there is nothing of the kind.
    if (hidden + drops.length === 0) return [];
    const shown = countRules(nft) > 0;
    // Where kube-proxy writes nftables itself, nobody looks for rules of iptables-legacy; other tables of nft's own are no iptables.
    const native =
      host.nft?.tables.some((table) => table.name === "kube-proxy" && table.family === family) === true &&
      !hasChain(legacy, "KUBE-SERVICES");
    if (!shown && !native) return [];
    const { rules, sharp } = telling(legacy);
    const tool = family === "ip" ? "iptables" : "ip6tables";
    const count = `${hidden} ${hidden === 1 ? "rule" : "rules"}`;
    const harmful = sharp || drops.length > 0;
    const files = new Set(legacy.map((set) => set.file));
    return [
      {
        id: "mixed-iptables",
        at: host.place,
        summary: `${host.node} has ${count} in ${tool}-legacy beside those of ${shown ? `${tool}-nft` : "nftables"}, and the kernel obeys both: ${
          harmful
            ? "what these drop or rewrite, nobody sees who looks with one of the two"
            : "these only accept and count"
        }`,
        evidence: [...rules.map(({ source }) => source), ...drops]
          .slice(0, MOST_LINES)
          .map((source) => chart.evidence(source)),
        remedy: [
          `${tool}-legacy-save   # whose rules are these? Let that program use ${shown ? `${tool}-nft` : "nftables"}`,
          ...(sharp ? rules : []).map(
            ({ table, chain, source }) =>
              `${tool}-legacy -t ${table} -D ${chain.name} ${chart.snapshot.line(source).replace(/^(\[\d+:\d+\] )?-A \S+ /, "")}`,
          ),
        ],
        hurts: failuresWhere(chart, ({ because }) => because.source !== undefined && files.has(because.source.file)),
        otherwise: harmful ? "warning" : "info",
      },
    ];
  });
}

/** A drop in KUBE-FIREWALL that asks for nothing. */
function unmarked(chart: Chart, host: Namespace): Suspicion[] {
  return host.xtables.flatMap((set) =>
    set.tables
      .filter((table) => table.name === "filter")
      .flatMap((table) => table.chains.filter((chain) => chain.name === "KUBE-FIREWALL"))
      .flatMap((chain): Suspicion[] => {
        const bare = chain.rules.filter(
          ({ target, matches }) => target.t === "drop" && matches.every(({ m }) => m === "comment"),
        );
        if (bare.length === 0) return [];
        const sources = bare.map(({ line }) => ({ file: set.file, line }));
        const tool = set.family === "ip" ? "iptables" : "ip6tables";
        return [
          {
            id: "mixed-iptables",
            at: host.place,
            summary: `KUBE-FIREWALL on ${host.node} drops every packet that comes for or from the node itself: its rule has lost the match for mark 0x8000, which ${tool} of another version could not write`,
            evidence: sources.map((source) => chart.evidence(source)),
            remedy: bare.map(
              (rule) =>
                `${tool} -D KUBE-FIREWALL ${chain.rules.indexOf(rule) + 1}   # then use one version of ${tool} for kubelet, kube-proxy and the network`,
            ),
            hurts: decidedBy(chart, sources),
            otherwise: "warning",
          },
        ];
      }),
  );
}

export const mixedIptables: Check = {
  ids: ["mixed-iptables"],
  depth: "rules",
  look: (chart): Diagnosis => ({
    suspicions: chart.hosts.flatMap((host) => [...mixed(chart, host), ...unmarked(chart, host)]),
  }),
};
