/** A policy's rules as rules of iptables (felix/rules/policy.go). */
import {
  clearMark,
  inSet,
  markClear,
  markSet,
  maskedMark,
  RETURN,
  rule,
  setMark,
  type FelixRule,
  type Marks,
} from "./iptables-rule.ts";
import { setName } from "./names.ts";
import type { IcmpType } from "./rule.ts";
import type { ParsedRule, ParsedSide, PortRange } from "./rule-sets.ts";

export interface RenderOptions {
  family: 4 | 6;
  marks: Marks;
  /** Target of what is denied: `-j DROP`, or REJECT. */
  deny: string;
  /** What a rule that logs begins its lines with. */
  logPrefix: string;
}

type End = "src" | "dst";

/** Slots of a multiport match: a port takes one, a range two. */
const SLOTS = 15;

/** Lists of ports that fit a multiport match each (SplitPortList). */
export function splitPorts(ports: readonly PortRange[]): PortRange[][] {
  const splits: PortRange[][] = [];
  let free = 0;
  for (const port of ports) {
    const slots = port.first === port.last ? 1 : 2;
    const last = splits.at(-1);
    if (last === undefined || free < slots) {
      splits.push([port]);
      free = SLOTS - slots;
    } else {
      last.push(port);
      free -= slots;
    }
  }
  return splits;
}

const isV6 = (net: string): boolean => net.includes(":");
const isEverything = (net: string): boolean => net === "0.0.0.0/0" || net === "::/0";

/** Networks of the family; null when there are some, but none of it: the rule then says nothing for this family. */
function ofFamily(nets: readonly string[], family: 4 | 6): string[] | null {
  const kept = nets.filter((net) => isV6(net) === (family === 6));
  return kept.length === 0 && nets.length > 0 ? null : kept;
}

/** The same of networks that must not match; everything among them makes the rule one that never matches, and Felix leaves it out. */
function notOfFamily(nets: readonly string[], family: 4 | 6): string[] | null {
  const kept = ofFamily(nets, family);
  return kept?.some(isEverything) === true ? null : kept;
}

function sideOfFamily(side: ParsedSide, family: 4 | 6): ParsedSide | null {
  const nets = ofFamily(side.nets, family);
  const notNets = notOfFamily(side.notNets, family);
  return nets === null || notNets === null ? null : { ...side, nets, notNets };
}

/** A match of everything is none: iptables-save does not print it. */
const netMatch = (end: End, net: string, not = false): string[] =>
  isEverything(net) && !not ? [] : [`${not ? "! " : ""}${end === "src" ? "-s" : "-d"} ${net}`];

function portsMatch(end: End, ports: readonly PortRange[], not = false): string {
  const text = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`)).join(",");
  return `-m multiport ${not ? "! " : ""}--${end === "src" ? "sports" : "dports"} ${text}`;
}

const protocolMatch = (protocol: string | number | null, not = false): string[] => {
  if (protocol === null) return [];
  // Number 0 and the name `all` are every protocol.
  const name = protocol === "icmpv6" ? "ipv6-icmp" : protocol;
  return [`${not ? "! " : ""}-p ${name}`];
};

function icmpMatch(icmp: IcmpType | null, family: 4 | 6, not = false): string[] {
  if (icmp === null) return [];
  const type = icmp.code === null ? `${icmp.type}` : `${icmp.type}/${icmp.code}`;
  const [module, option] = family === 4 ? ["icmp", "--icmp-type"] : ["icmp6", "--icmpv6-type"];
  return [`-m ${module} ${not ? "! " : ""}${option} ${type}`];
}

/**
 * What one rule cannot say is said by blocks before it, which leave their answer in a bit of the mark (matchBlockBuilder): networks and
 * ports of which one must match, and networks of which none may.
 */
class Blocks {
  readonly rules: FelixRule[] = [];
  private positive = false;

  constructor(private readonly options: RenderOptions) {}

  private begin(bits: number): void {
    const { scratch0, scratch1 } = this.options.marks;
    if (this.rules.length === 0) this.rules.push(rule("", maskedMark(bits, scratch0 | scratch1)));
  }

  /** One of `matches` must match. */
  any(matches: readonly (string | string[])[]): void {
    const { scratch0, scratch1 } = this.options.marks;
    this.begin(0);
    const first = !this.positive;
    for (const match of matches) this.rules.push(rule(match, setMark(first ? scratch0 : scratch1)));
    if (!first) this.rules.push(rule(markClear(scratch1), clearMark(scratch0)));
    this.positive = true;
  }

  /** None of `matches` may match. */
  none(matches: readonly string[][]): void {
    const { scratch0 } = this.options.marks;
    this.begin(scratch0);
    for (const match of matches) this.rules.push(rule(match, clearMark(scratch0)));
  }
}

/** Ports that one match cannot hold become a block; returns what is left of the side. */
function portBlock(blocks: Blocks, side: ParsedSide, end: End, protocol: string[], family: 4 | 6): ParsedSide {
  const splits = splitPorts(side.ports);
  if (splits.length + side.portSets.length <= 1) return side;
  blocks.any([
    ...splits.map((split) => [...protocol, portsMatch(end, split)]),
    ...side.portSets.map((id) => inSet(setName(family, id), end === "src" ? "src,src" : "dst,dst")),
  ]);
  return { ...side, ports: [], portSets: [] };
}

function netBlock(blocks: Blocks, side: ParsedSide, end: End): ParsedSide {
  if (side.nets.length <= 1) return side;
  blocks.any(side.nets.map((net) => netMatch(end, net)));
  return { ...side, nets: [] };
}

/** A rule has one place for an address of each side: what must match takes it first. */
function notNetBlock(blocks: Blocks, side: ParsedSide, end: End): ParsedSide {
  if (side.nets.length + side.notNets.length <= 1) return side;
  blocks.none(side.notNets.map((net) => netMatch(end, net)));
  return { ...side, notNets: [] };
}

function sideMatches(side: ParsedSide, end: End, family: 4 | 6): string[] {
  const both = end === "src" ? "src,src" : "dst,dst";
  const set = (id: string): string => setName(family, id);
  return [
    ...side.nets.flatMap((net) => netMatch(end, net)),
    ...side.sets.map((id) => inSet(set(id), end)),
    ...side.serviceSets.map((id) => inSet(set(id), both)),
    ...(side.ports.length === 0 ? [] : [portsMatch(end, side.ports)]),
    ...side.portSets.map((id) => inSet(set(id), both)),
    ...side.notNets.flatMap((net) => netMatch(end, net, true)),
    ...side.notSets.map((id) => inSet(set(id), end, true)),
    ...splitPorts(side.notPorts).map((split) => portsMatch(end, split, true)),
    ...side.notPortSets.map((id) => inSet(set(id), both, true)),
  ];
}

/** What follows a match: the mark that says the policy's answer, and leaving the chain (CombineMatchAndActionsForProtoRule). */
function acted(action: ParsedRule["action"], match: string[], { marks, deny, logPrefix }: RenderOptions): FelixRule[] {
  switch (action) {
    case "allow":
      return [rule(match, setMark(marks.accept)), rule(markSet(marks.accept), RETURN)];
    case "pass":
      return [rule(match, setMark(marks.pass)), rule(markSet(marks.pass), RETURN)];
    case "deny":
      return [rule(match, setMark(marks.drop)), rule(markSet(marks.drop), deny)];
    case "log":
      return [rule(match, `-j LOG --log-prefix "${logPrefix}: " --log-level 5`)];
  }
}

/** One rule of a policy as rules of iptables; none when it says nothing for the family (ProtoRuleToIptablesRules). */
export function renderRule(parsed: ParsedRule, options: RenderOptions): FelixRule[] {
  const { family, marks } = options;
  if (parsed.ipVersion !== null && parsed.ipVersion !== family) return [];
  let source = sideOfFamily(parsed.source, family);
  let destination = sideOfFamily(parsed.destination, family);
  if (source === null || destination === null) return [];
  const blocks = new Blocks(options);
  const protocol = protocolMatch(parsed.protocol);
  source = portBlock(blocks, source, "src", protocol, family);
  destination = portBlock(blocks, destination, "dst", protocol, family);
  source = netBlock(blocks, source, "src");
  destination = netBlock(blocks, destination, "dst");
  source = notNetBlock(blocks, source, "src");
  destination = notNetBlock(blocks, destination, "dst");
  const match = [
    ...protocol,
    ...sideMatches(source, "src", family),
    ...sideMatches(destination, "dst", family),
    ...icmpMatch(parsed.icmp, family),
    ...protocolMatch(parsed.notProtocol, true),
    ...icmpMatch(parsed.notIcmp, family, true),
    ...(blocks.rules.length === 0 ? [] : [markSet(marks.scratch0)]),
  ];
  const rules = [...blocks.rules, ...acted(parsed.action, match, options)];
  return rules.map((each) => ({ ...each, comments: [...each.comments, ...parsed.notes] }));
}

/** The rules of one direction of a policy or profile; the first carries what it is of, and what would only leave the chain at its end is left out. */
export function renderRules(rules: readonly ParsedRule[], about: string, options: RenderOptions): FelixRule[] {
  const rendered = rules.flatMap((each) => renderRule(each, options));
  while (rendered.at(-1)?.action === RETURN) rendered.pop();
  const [first = rule("", null), ...rest] = rendered;
  return [{ ...first, comments: [...first.comments, about] }, ...rest];
}
