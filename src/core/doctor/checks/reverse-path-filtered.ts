/**
 * A node drops packets because it would answer their sender by another device: rp_filter 1 takes a source only from where its route
 * leads (RFC 3704, strict; fib_validate_source, net/ipv4/fib_frontend.c); Calico and firewalls ask the same by a rule (rpfilter, fib saddr).
 */
import { parseIp } from "../../model/address.ts";
import type { Route } from "../../model/route.ts";
import { sysctlConf, sysctlSource } from "../../model/sysctl.ts";
import { routeLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { fatalRule } from "../rule-owner.ts";
import type { Evidence } from "../types.ts";

interface Dropped {
  at: string;
  dev: string;
  /** Senders of the packets. */
  sources: Set<string>;
  deaths: Death[];
}

/** What the engine says of a packet that rp_filter dropped: its source, and the device by which it came. */
const FILTERED = /rp_filter: (\S+) came in by (\S+),/;

function byDevice(deaths: readonly Death[]): Dropped[] {
  const found = new Map<string, Dropped>();
  for (const death of deaths) {
    const [, source, dev] = FILTERED.exec(death.text) ?? [];
    if (death.disposition !== "rp-filter" || source === undefined || dev === undefined) continue;
    const key = `${death.at} ${dev}`;
    const dropped = found.get(key) ?? { at: death.at, dev, sources: new Set(), deaths: [] };
    dropped.sources.add(source);
    dropped.deaths.push(death);
    found.set(key, dropped);
  }
  return [...found.values()];
}

function routeBack(chart: Chart, at: string, source: string): Route | null {
  const dst = parseIp(source);
  const ns = chart.world.byPlace.get(at);
  if (dst === null || ns === undefined) return null;
  const flow = { dst, src: null, iif: null, oif: null, mark: 0, tos: 0, proto: 0, sport: 0, dport: 0, uid: null };
  return ns.fib(dst.v).lookup(flow).route;
}

function wordList(words: readonly string[]): string {
  const shown = words.slice(0, 3).join(", ");
  return words.length > 3 ? `${shown} and ${words.length - 3} more` : shown;
}

function bySysctl(chart: Chart, { at, dev, sources, deaths }: Dropped): Suspicion {
  const ns = chart.dir.places.get(at);
  const keys = [sysctlConf("ipv4", dev, "rp_filter"), sysctlConf("ipv4", "all", "rp_filter")];
  const settings = ns === undefined ? [] : keys.flatMap((key) => sysctlSource(ns.sysctls, key) ?? []);
  const routes = new Map<string, Evidence>();
  for (const source of sources) {
    const route = routeBack(chart, at, source);
    if (route !== null) routes.set(routeLine(route), chart.evidence(route.source, routeLine(route)));
  }
  const [first] = sources;
  const back = first === undefined ? null : routeBack(chart, at, first);
  const elsewhere = back?.nexthops[0]?.dev;
  const owner = at.split("/")[0]!;
  return {
    id: "reverse-path-filtered",
    at,
    summary: `${owner} drops packets of ${wordList([...sources])} that come in by ${dev}, because it would answer them ${elsewhere == null ? "by nothing" : `by ${elsewhere}`} (rp_filter)`,
    evidence: [...settings.map((source) => chart.evidence(source)), ...[...routes.values()].slice(0, 5)],
    remedy: [
      `# on ${owner}: let the route back lead out by ${dev}, where the packets come in (ip route get ${first ?? ""}); or take sources from anywhere:`,
      `sysctl -w ${sysctlConf("ipv4", dev, "rp_filter")}=2`,
    ],
    hurts: hurtsOf(deaths),
    otherwise: null,
  };
}

/** Rules that ask for the way back: iptables' rpfilter, nftables' fib with the source's device. */
function byRule(chart: Chart): Suspicion[] {
  const found = new Map<string, Death[]>();
  for (const death of deathsOf(chart)) {
    const step = fatalRule(death);
    if (step?.source === undefined || !/rpfilter|fib saddr/.test(step.text)) continue;
    const key = `${step.at} ${step.source.line} ${step.source.file}`;
    const list = found.get(key);
    if (list === undefined) found.set(key, [death]);
    else list.push(death);
  }
  return [...found.values()].map((deaths): Suspicion => {
    const step = fatalRule(deaths[0]!)!;
    return {
      id: "reverse-path-filtered",
      at: step.at,
      summary: `${step.at.split("/")[0]} drops packets because it would not answer their sender by the device that they come in by: ${step.text}`,
      evidence: [chart.evidence(step.source!)],
      remedy: [
        "# let the route back to the sender lead out by the device that its packets come in by (ip route get SOURCE)",
      ],
      hurts: hurtsOf(deaths),
      otherwise: null,
    };
  });
}

export const reversePathFiltered: Check = {
  ids: ["reverse-path-filtered"],
  depth: "rules",
  look: (chart): Diagnosis => ({
    suspicions: [...byDevice(deathsOf(chart)).map((each) => bySysctl(chart, each)), ...byRule(chart)],
  }),
};
