/** Rules with their selectors and named ports replaced by sets of addresses (felix/calc/rule_scanner.go, ruleToParsedRule). */
import { uniqueId } from "./names.ts";
import type { Port, Rule, RuleOf, Side } from "./rule.ts";
import { formatSelector, parseSelector, type Selector } from "./selector.ts";

/** What a set holds: addresses of what a selector takes, these with a named port, or those of a Service's endpoints. */
export type SetMeaning =
  | { of: "selector"; selector: Selector }
  | { of: "port"; selector: Selector; protocol: "tcp" | "udp" | "sctp"; port: string }
  | { of: "service"; namespace: string; name: string; withPorts: boolean };

/** Sets by their ids. */
export type SetMeanings = Map<string, SetMeaning>;

export interface PortRange {
  first: number;
  last: number;
}

/** One side of a rule as it becomes matches. */
export interface ParsedSide {
  nets: string[];
  notNets: string[];
  ports: PortRange[];
  notPorts: PortRange[];
  /** Ids of sets. */
  sets: string[];
  notSets: string[];
  /** Of sets of addresses with ports: of named ports, of which one is enough, and of Services. */
  portSets: string[];
  notPortSets: string[];
  serviceSets: string[];
}

export type ParsedRule = RuleOf<ParsedSide>;

const ALL: Selector = { op: "all" };

const selectorId = (selector: Selector): string => uniqueId("s", formatSelector(selector));

/** The id of a set (IPSetData.UniqueID). */
function idOf(meaning: SetMeaning): string {
  switch (meaning.of) {
    case "selector":
      return selectorId(meaning.selector);
    case "port":
      return uniqueId("n", `${selectorId(meaning.selector)},${meaning.protocol},${meaning.port}`);
    case "service":
      return uniqueId(meaning.withPorts ? "svc" : "svcnoport", `${meaning.namespace}/${meaning.name}`);
  }
}

const ranges = (ports: readonly Port[]): PortRange[] => ports.filter((port) => "first" in port);
const names = (ports: readonly Port[]): string[] => ports.flatMap((port) => ("name" in port ? [port.name] : []));

/** Named ports are of one protocol each; rules that say none mean TCP. */
function portProtocol(protocol: string | number | null): "tcp" | "udp" | "sctp" {
  if (protocol === "udp" || protocol === 17) return "udp";
  if (protocol === "sctp" || protocol === 132) return "sctp";
  return "tcp";
}

/** A rule's matches; the sets that it needs are added to `sets`. Throws SelectorError. */
export function parsedRule(rule: Rule, sets: SetMeanings): ParsedRule {
  const need = (meaning: SetMeaning): string => {
    const id = idOf(meaning);
    sets.set(id, meaning);
    return id;
  };
  const protocol = portProtocol(rule.protocol);
  const parsedSide = (side: Side, isSource: boolean): ParsedSide => {
    // What must not match narrows what must, where there is that: one set instead of two (combineMatchesIfPossible).
    const both = side.selector !== "" && side.notSelector !== "";
    const wanted = both ? `(${side.selector}) && (!(${side.notSelector}))` : side.selector;
    const selector = wanted === "" ? null : parseSelector(wanted);
    const notSelector = both || side.notSelector === "" ? null : parseSelector(side.notSelector);
    const named = (ports: readonly Port[]): string[] =>
      names(ports).map((port) => need({ of: "port", selector: selector ?? ALL, protocol, port }));
    // A set of named ports is of the selected endpoints' only, so that beside it the selector need not be asked again.
    const covered = names(side.ports).length > 0 && ranges(side.ports).length === 0;
    const chosen = selector === null || covered ? [] : [need({ of: "selector", selector })];
    const service = side.service === null ? [] : [need({ of: "service", ...side.service, withPorts: !isSource })];
    return {
      nets: side.nets,
      notNets: side.notNets,
      ports: ranges(side.ports),
      notPorts: ranges(side.notPorts),
      sets: isSource ? [...chosen, ...service] : chosen,
      notSets: notSelector === null ? [] : [need({ of: "selector", selector: notSelector })],
      portSets: named(side.ports),
      notPortSets: named(side.notPorts),
      serviceSets: isSource ? [] : service,
    };
  };
  return { ...rule, source: parsedSide(rule.source, true), destination: parsedSide(rule.destination, false) };
}
