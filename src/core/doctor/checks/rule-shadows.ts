/**
 * A policy rule sends packets to a table that leads them astray, while without the rule the others would bring them to their destination:
 * rules are asked by priority, and the first whose table has an answer wins (fib_rules_lookup, net/core/fib_rules.c).
 */
import { Fib } from "../../engine/fib.ts";
import type { Ip } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { PolicyRule, Route } from "../../model/route.ts";
import { routeLine, ruleLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death, type RouteTaken } from "../deaths.ts";
import { leads, ownerOf } from "../peer-routes.ts";
import { nodeBehind } from "../pod-networks.ts";

interface Shadowing {
  host: Namespace;
  rule: PolicyRule;
  /** What answered in the rule's table; null when the rule itself refused. */
  taken: Route | null;
  /** What would answer without the rule. */
  instead: Route;
  deaths: Death[];
}

/** The rules that every kernel starts with. */
function isStandard(rule: PolicyRule): boolean {
  return (
    (rule.table === 255 || rule.table === 254 || rule.table === 253) &&
    rule.from === null &&
    rule.to === null &&
    rule.fwmark === null
  );
}

/** The rule that led a packet to its route: named by the step, or the refusing one that decided. */
function ruleOf(host: Namespace, dst: Ip, priority: number | null): PolicyRule | undefined {
  if (priority === null) return undefined;
  const rules = dst.v === 4 ? host.rules4 : host.rules6;
  return rules.find((each) => each.priority === priority && !isStandard(each));
}

/** What the node would do without the rule. */
function without(chart: Chart, host: Namespace, rule: PolicyRule, dst: Ip): Route | null {
  const ns = chart.world.byPlace.get(host.place);
  if (ns === undefined) return null;
  const v4 = dst.v === 4;
  const rules = (v4 ? host.rules4 : host.rules6).filter(
    // Whoever wrote one such rule wrote the others to the same table as well.
    (each) => each !== rule && !(rule.table !== null && each.table === rule.table && !isStandard(each)),
  );
  const fib = new Fib(ns, dst.v, v4 ? host.routes4 : host.routes6, rules);
  const flow = { dst, src: null, iif: null, oif: null, mark: 0, tos: 0, proto: 0, sport: 0, dport: 0, uid: null };
  const found = fib.lookup(flow);
  return found.error === null ? found.route : null;
}

/** Where a route would bring the packet: to the node of its destination, or to the host itself. */
function isRight(chart: Chart, host: Namespace, route: Route, dst: Ip): boolean {
  if (route.type === "local") return true;
  const node = ownerOf(chart, dst) ?? nodeBehind(chart, dst);
  if (node == null || route.type !== "unicast" || route.dst.len === 0) return false;
  if (node === host.node) return true;
  return leads(chart, route, node) !== "astray";
}

function shadowing(chart: Chart, taken: RouteTaken): Omit<Shadowing, "deaths"> | null {
  const host = chart.dir.places.get(taken.at);
  if (host === undefined || taken.dst === null) return null;
  const rule = ruleOf(host, taken.dst, taken.rule);
  if (rule === undefined) return null;
  const instead = without(chart, host, rule, taken.dst);
  if (instead === null || instead === taken.route || !isRight(chart, host, instead, taken.dst)) return null;
  if (taken.route !== null && taken.route.type === "unicast" && isRight(chart, host, taken.route, taken.dst))
    return null;
  return { host, rule, taken: taken.route, instead };
}

function suspicion(chart: Chart, { host, rule, taken, instead, deaths }: Shadowing): Suspicion {
  const v6 = (instead.dst.ip.v === 6 && "-6 ") || "";
  const leadsTo = taken === null ? `refuses them (${rule.action})` : `leads them to "${routeLine(taken)}"`;
  return {
    id: "rule-shadows",
    at: host.place,
    summary: `On ${host.node} policy rule ${rule.priority} takes packets for the cluster and ${leadsTo}; without it they would go by "${routeLine(instead)}"`,
    evidence: [
      chart.evidence(rule.source, ruleLine(rule)),
      ...(taken === null ? [] : [chart.evidence(taken.source, routeLine(taken))]),
      chart.evidence(instead.source, routeLine(instead)),
    ],
    remedy: [
      `# on ${host.node}, when nothing else needs the rule; otherwise let an earlier rule look up main for the cluster's networks`,
      `ip ${v6}rule del priority ${rule.priority}`,
    ],
    hurts: hurtsOf(deaths),
    otherwise: null,
  };
}

/** Routing decisions of a death that may have been a rule's: those on its path, and one that refused without a route. */
function decisions(death: Death): RouteTaken[] {
  const last = death.routes.at(-1);
  const refused = /^rule (\d+) /.exec(death.text)?.[1];
  if (refused === undefined || death.routes.some((each) => each.rule === Number(refused))) return [...death.routes];
  return [
    ...death.routes,
    { at: death.at, layer: 0, dst: last?.dst ?? null, text: death.text, route: null, rule: Number(refused), after: [] },
  ];
}

function look(chart: Chart): Diagnosis {
  const hosts = new Set(chart.hosts.map((host) => host.place));
  const found = new Map<PolicyRule, Shadowing>();
  for (const death of deathsOf(chart)) {
    const taken = decisions(death).findLast((each) => hosts.has(each.at));
    const shadow = taken === undefined || taken.rule === null ? null : shadowing(chart, taken);
    if (shadow === null) continue;
    const known = found.get(shadow.rule);
    if (known === undefined) found.set(shadow.rule, { ...shadow, deaths: [death] });
    else known.deaths.push(death);
  }
  return { suspicions: [...found.values()].map((each) => suspicion(chart, each)) };
}

export const ruleShadows: Check = { ids: ["rule-shadows"], depth: "underlay", look };
