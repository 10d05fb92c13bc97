/**
 * What failed walks died of: those of the survey that end at the same decision, in the same direction, are one death, and only one of
 * them is walked again for its steps. A check then looks at some dozens of deaths and not at thousands of walks.
 */
import { routeText } from "../engine/next-hop.ts";
import { inPrefix, parseIp, type Ip } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Route } from "../model/route.ts";
import type { Source } from "../model/source.ts";
import type { Disposition, Outcome, Step } from "../model/walk.ts";
import type { Chart, Walked } from "./chart.ts";
import type { Hurt } from "./check.ts";
import { tracedFailures } from "./steps.ts";

/** A routing decision on the way of a packet that dies. */
export interface RouteTaken {
  /** Place that decided. */
  at: string;
  layer: number;
  /** Destination of the packet there; null where it cannot be told. */
  dst: Ip | null;
  text: string;
  /** Null when the place has no such route any more that could be told apart. */
  route: Route | null;
  /** Priority of the policy rule that led to it; null with the rules that every kernel has. */
  rule: number | null;
  /** Steps of the path after it. */
  after: readonly Step[];
}

export interface Death {
  /** What decided, without the conditions under which it comes to that. */
  text: string;
  source: Source | undefined;
  disposition: Disposition;
  /** Whether the request dies or the answer. */
  direction: "forward" | "reply";
  /** Place where it dies. */
  at: string;
  /** Every step of one walk that stands for all; empty for what dies before its first. */
  steps: readonly Step[];
  /** Steps of the direction in which it dies, up to the end. */
  path: readonly Step[];
  /** Steps of the request, also when it is the answer that dies. */
  forward: readonly Step[];
  /** Routing decisions of `path`. */
  routes: readonly RouteTaken[];
  /** The walk that stands for all. */
  example: Walked;
  hurts: readonly Hurt[];
}

/** Walks that are walked again for their steps, at most. */
const MOST_EXAMPLES = 400;

const CONDITION = " (only if so: ";
const ANSWER = "the answer";

/** `FILE:LINE`. */
export const sourceKey = (source: Source): string => `${source.file}:${source.line}`;

/** What decided, without "only if so". */
export function causeText(outcome: Outcome): string {
  const { text } = outcome.because;
  const at = text.indexOf(CONDITION);
  return at < 0 ? text : text.slice(0, at);
}

function keyOf(walked: Walked, outcome: Outcome): string {
  const { source } = outcome.because;
  const { aim } = walked.target;
  // Of a request to a node's port it matters which node that is; of a pod's answer, which node the pod is on.
  const via = aim.kind === "pod" ? aim.pod.node : aim.kind === "service" || aim.kind === "hostPort" ? aim.node : null;
  return JSON.stringify([
    causeText(outcome),
    source?.file,
    source?.line,
    outcome.disposition,
    walked.sender.node,
    walked.sender.kind,
    aim.kind,
    via,
  ]);
}

interface Group {
  walked: Walked;
  outcome: Outcome;
  members: Map<Walked, Outcome[]>;
}

function groups(failures: readonly Walked[]): Group[] {
  const found = new Map<string, Group>();
  for (const walked of failures) {
    for (const outcome of walked.failed) {
      const key = keyOf(walked, outcome);
      let group = found.get(key);
      if (group === undefined) found.set(key, (group = { walked, outcome, members: new Map() }));
      const list = group.members.get(walked);
      if (list === undefined) group.members.set(walked, [outcome]);
      else list.push(outcome);
    }
  }
  return [...found.values()].toSorted((a, b) => b.members.size - a.members.size);
}

/** Where the answer is sent to: what the last connection that the request left behind says of its reply. */
function answerTo(forward: readonly Step[]): Ip | null {
  const last = forward.findLast((step) => step.layer === 0 && step.conntrack !== undefined)?.conntrack;
  return last === undefined ? null : parseIp(last.reply.dst);
}

const routeIndexes = new WeakMap<Namespace, Map<string, Route[]>>();

/** The route of a namespace that a step quotes. */
function quoted(ns: Namespace | undefined, text: string, dst: Ip | null): Route | null {
  if (ns === undefined) return null;
  let index = routeIndexes.get(ns);
  if (index === undefined) {
    index = new Map();
    for (const route of [...ns.routes4, ...ns.routes6]) {
      const words = routeText(route);
      const list = index.get(words);
      if (list === undefined) index.set(words, [route]);
      else list.push(route);
    }
    routeIndexes.set(ns, index);
  }
  const same = index.get(text) ?? [];
  return same.find((route) => dst === null || inPrefix(dst, route.dst)) ?? same[0] ?? null;
}

/** Routing decisions along a path, with the destination that the packet has at each. */
function routesOf(chart: Chart, path: readonly Step[], first: Ip | null): RouteTaken[] {
  const out: RouteTaken[] = [];
  const dst: (Ip | null)[] = [first];
  let rule: { at: string; priority: number } | null = null;
  for (const [i, step] of path.entries()) {
    // A tunnel's own packet goes to where the forwarding entry says.
    const remote = step.kind === "fdb" ? / dst (\S+)$/.exec(step.text)?.[1] : undefined;
    if (remote !== undefined) dst[step.layer + 1] = parseIp(remote);
    if (step.changed?.dst !== undefined) dst[step.layer] = parseIp(step.changed.dst);
    const looked = step.kind === "rule-lookup" ? /^rule (\d+) /.exec(step.text)?.[1] : undefined;
    if (looked !== undefined) rule = { at: step.at, priority: Number(looked) };
    if (step.kind !== "route") continue;
    const to = dst[step.layer] ?? null;
    const route = quoted(chart.dir.places.get(step.at), step.text, to);
    const priority = rule?.at === step.at ? rule.priority : null;
    out.push({
      at: step.at,
      layer: step.layer,
      dst: to,
      text: step.text,
      route,
      rule: priority,
      after: path.slice(i + 1),
    });
    rule = null;
  }
  return out;
}

/** The decision of a namespace that has no way at all for what starts in it; walks of such packets have no steps. */
function atOnce(chart: Chart, walked: Walked): RouteTaken[] {
  const dst = parseIp(walked.target.address);
  const ns = chart.world.byPlace.get(walked.sender.place);
  if (dst === null || ns === undefined) return [];
  const flow = { dst, src: null, iif: null, oif: null, mark: 0, tos: 0, proto: 0, sport: 0, dport: 0, uid: 0 };
  const first = ns.fib(dst.v).lookup(flow);
  // connect() looks again with the address that the first route gave it.
  const dev = first.route?.nexthops[0]?.dev;
  const src =
    first.route?.prefSrc ??
    (dev === undefined || dev === null
      ? null
      : (ns.byName.get(dev)?.addresses.find((each) => each.ip.v === dst.v && each.scope === "global")?.ip ?? null));
  const second = first.error === null && src !== null ? ns.fib(dst.v).lookup({ ...flow, src }) : first;
  const text = second.route === null ? "" : routeText(second.route);
  return [{ at: ns.place, layer: 0, dst, text, route: second.route, rule: second.rule?.priority ?? null, after: [] }];
}

/** Where a packet died for which a place has no route at all: that leaves no step. */
function nowhere(text: string): RouteTaken | null {
  const [, at, to] = /(\S+) has no route to (\S+)$/.exec(text) ?? [];
  if (at === undefined || to === undefined) return null;
  return { at, layer: 0, dst: parseIp(to), text, route: null, rule: null, after: [] };
}

function deathOf(chart: Chart, { walked, outcome, members }: Group, again: boolean): Death {
  const text = causeText(outcome);
  const outcomes = again ? tracedFailures(chart, walked) : [];
  const steps =
    outcomes.find((each) => each.because.text === outcome.because.text && each.disposition === outcome.disposition)
      ?.steps ?? [];
  const direction = text.startsWith(ANSWER) ? "reply" : "forward";
  const forward = steps.filter((step) => step.direction === "forward");
  const path = direction === "forward" ? forward : steps.filter((step) => step.direction === "reply");
  const first = direction === "forward" ? parseIp(walked.target.address) : answerTo(forward);
  const unrouted = nowhere(text);
  const routes = steps.length === 0 && again ? atOnce(chart, walked) : routesOf(chart, path, first);
  if (unrouted !== null) routes.push(unrouted);
  return {
    text,
    source: outcome.because.source,
    disposition: outcome.disposition,
    direction,
    at: unrouted?.at ?? path.at(-1)?.at ?? walked.sender.place,
    steps,
    path,
    forward,
    routes,
    example: walked,
    hurts: [...members].map(([each, failed]) =>
      failed.length === each.failed.length ? { walked: each } : { walked: each, outcomes: failed },
    ),
  };
}

const made = new WeakMap<Chart, Death[]>();

/** Every death among the survey's failures, those of most walks first. Made once for a chart. */
export function deathsOf(chart: Chart): readonly Death[] {
  let deaths = made.get(chart);
  if (deaths === undefined) {
    deaths = groups(chart.failures).map((group, i) => deathOf(chart, group, i < MOST_EXAMPLES));
    made.set(chart, deaths);
  }
  return deaths;
}

/** The walks of these deaths, each once with all of its outcomes. */
export function hurtsOf(deaths: readonly Death[]): Hurt[] {
  const found = new Map<Walked, Outcome[]>();
  for (const { hurts } of deaths) {
    for (const { walked, outcomes } of hurts) {
      const list = found.get(walked) ?? [];
      list.push(...(outcomes ?? walked.failed));
      found.set(walked, list);
    }
  }
  return [...found].map(([walked, list]) => {
    const outcomes = [...new Set(list)];
    return outcomes.length === walked.failed.length ? { walked } : { walked, outcomes };
  });
}

/** The last routing decision for the packet itself that a place made on the way to its death; undefined when it never came there. */
export function lastRoute(death: Death, at: string): RouteTaken | undefined {
  return death.routes.findLast((taken) => taken.at === at && taken.layer === 0);
}
