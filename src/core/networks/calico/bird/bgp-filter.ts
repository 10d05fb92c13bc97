/** BGPFilters as BIRD's functions (confd template_funcs.go), and what they decide of a route. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { list, object, text, texts, whole, type Raw } from "../../raw.ts";
import { width, within } from "../ipam/range.ts";
import { calicoObjects } from "../objects.ts";
import { oncePer } from "../../once.ts";
import { PREFERENCE_SUM } from "./settings.ts";

export type Direction = "import" | "export";

export interface BgpFilter {
  name: string;
  /** Rules by direction and family. */
  rules: Record<`${Direction}${4 | 6}`, Raw[]>;
}

/** Longest name of anything in BIRD. */
const MAX_SYMBOL = 64;
const OPERATORS: Record<string, string> = { Equal: "=", NotEqual: "!=", In: "~", NotIn: "!~" };

/** Every BGPFilter, by name. */
export const bgpFilters = oncePer(
  (cluster: Cluster): ReadonlyMap<string, BgpFilter> =>
    new Map(
      calicoObjects(cluster, "bgpfilters").map(({ name, spec }) => {
        const of = (field: string): Raw[] => list(spec[field]).map(object);
        const rules = {
          import4: of("importV4"),
          import6: of("importV6"),
          export4: of("exportV4"),
          export6: of("exportV6"),
        };
        return [name, { name, rules }];
      }),
    ),
);

/** Name of a filter's function in BIRD, quoted; a long one ends in a hash. */
export function functionName(filter: string, direction: Direction, family: 4 | 6): string {
  const most = MAX_SYMBOL - `bgp__${direction}FilterV${family}`.length;
  let name = filter;
  if (filter.length > most) {
    const digest = bytesToHex(sha256(utf8ToBytes(filter))).toUpperCase();
    name = `${filter.slice(0, most - 17)}_${digest.slice(0, 16)}`;
  }
  return `'bgp_${name}_${direction}FilterV${family}'`;
}

const peerTyped = (rules: readonly Raw[]): boolean => rules.some((rule) => text(rule["peerType"]) !== null);

/** A call of the filter for a session; null when it has no rules for it. */
export function functionCall(filter: BgpFilter, direction: Direction, family: 4 | 6, internal: boolean): string | null {
  const rules = filter.rules[`${direction}${family}`];
  if (rules.length === 0) return null;
  return `${functionName(filter.name, direction, family)}(${peerTyped(rules) ? internal : ""});`;
}

function prefixText(rule: Raw, cidr: string): string {
  const { min, max } = object(rule["prefixLength"]);
  if (rule["prefixLength"] === undefined) return cidr;
  const prefix = parsePrefix(cidr);
  if (prefix === null) return cidr;
  const low = Math.max(prefix.len, whole(min) ?? 0);
  const high = Math.min(width(prefix.ip.v), whole(max) ?? 128);
  return `[ ${cidr}{${low},${high}} ]`;
}

const community = (value: string): { tuple: string; list: string } => {
  const parts = value.split(":");
  return { tuple: `(${parts.join(", ")})`, list: parts.length === 2 ? "bgp_community" : "bgp_large_community" };
};

function conditions(rule: Raw): string[] {
  const out: string[] = [];
  const cidr = text(rule["cidr"]);
  if (cidr !== null) out.push(`(net ${OPERATORS[text(rule["matchOperator"]) ?? ""] ?? "~"} ${prefixText(rule, cidr)})`);
  if (text(rule["source"]) === "RemotePeers") out.push("((defined(source))&&(source ~ [ RTS_BGP ]))");
  const device = text(rule["interface"]);
  if (device !== null) out.push(`((defined(ifname))&&(ifname ~ "${device}"))`);
  const [value] = texts(object(rule["communities"])["values"]);
  if (value !== undefined) out.push(`(${community(value).tuple} ~ ${community(value).list})`);
  const path = list(rule["asPathPrefix"]);
  if (path.length > 0) out.push(`(bgp_path ~ [= ${path.join(" ")} * =])`);
  const priority = whole(rule["priority"]);
  if (priority !== null) out.push(`(defined(bgp_local_pref)&&(bgp_local_pref = ${PREFERENCE_SUM - priority}))`);
  return out;
}

function operations(rule: Raw): string[] {
  return list(rule["operations"]).flatMap((each): string[] => {
    const { addCommunity, prependASPath, setPriority } = object(each);
    const added = text(object(addCommunity)["value"]);
    if (added !== null) return [`${community(added).list}.add(${community(added).tuple});`];
    const prepended = list(object(prependASPath)["prefix"]);
    // One at a time goes in front, so the last comes first.
    if (prepended.length > 0) return prepended.toReversed().map((as) => `bgp_path.prepend(${String(as)});`);
    const priority = whole(object(setPriority)["value"]);
    return priority === null ? [] : [`bgp_local_pref = ${PREFERENCE_SUM - priority};`];
  });
}

function statement(rule: Raw): string {
  const body = [...operations(rule), text(rule["action"]) === "Accept" ? "accept;" : "reject;"].join(" ");
  const all = conditions(rule).join("&&");
  const guarded = all === "" ? body : `if (${all}) then { ${body} }`;
  const type = text(rule["peerType"]);
  if (type === null) return guarded;
  return `if (${type === "iBGP" ? "" : "!"}is_same_as) then { ${guarded} }`;
}

/** Lines that define every filter of a family. */
export function filterFunctions(filters: ReadonlyMap<string, BgpFilter>, family: 4 | 6): string[] {
  const lines = [...filters.values()].flatMap(({ name, rules }) => {
    const parts = (["import", "export"] as const).flatMap((direction) => {
      const mine = rules[`${direction}${family}`];
      if (mine.length === 0) return [];
      const head = `function ${functionName(name, direction, family)}(${peerTyped(mine) ? "bool is_same_as" : ""}) {`;
      return [head, ...mine.map((rule) => `  ${statement(rule)}`), "}"];
    });
    return parts.length === 0 ? [] : [`# v${family} BGPFilter ${name}`, ...parts];
  });
  return lines.length === 0 ? [`# No v${family} BGPFilters configured`] : lines;
}

/** What a filter sees of a route. */
export interface Candidate {
  prefix: Prefix;
  /** Whether it came over BGP. */
  learned: boolean;
  /** Device that it leads to; null for none. */
  device: string | null;
  asPath: readonly number[];
  preference: number | null;
}

/** accept, reject; next: no rule decides; unknown: what is not known of the route decides. */
export type Decision = "accept" | "reject" | "next" | "unknown";

const matchesPattern = (pattern: string, name: string): boolean =>
  new RegExp(
    `^${pattern
      .replaceAll(/[^*?\w]/g, String.raw`\$&`)
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
  ).test(name);

/** Whether a rule's conditions hold; null when nobody can tell. */
function holds(rule: Raw, route: Candidate, internal: boolean): boolean | null {
  const type = text(rule["peerType"]);
  if (type !== null && (type === "iBGP") !== internal) return false;
  const cidr = parsePrefix(text(rule["cidr"]) ?? "");
  if (cidr !== null) {
    const { min, max } = object(rule["prefixLength"]);
    const { len } = route.prefix;
    const ranged = rule["prefixLength"] === undefined || (len >= (whole(min) ?? 0) && len <= (whole(max) ?? 128));
    const operator = text(rule["matchOperator"]) ?? "In";
    const inside = within(route.prefix, cidr) && ranged && (operator.endsWith("In") || len === cidr.len);
    if (inside === operator.startsWith("Not")) return false;
  }
  if (text(rule["source"]) === "RemotePeers" && !route.learned) return false;
  const device = text(rule["interface"]);
  if (device !== null && (route.device === null || !matchesPattern(device, route.device))) return false;
  const path = list(rule["asPathPrefix"]);
  if (path.some((as, i) => Number(as) !== route.asPath[i])) return false;
  const priority = whole(rule["priority"]);
  if (priority !== null && route.preference !== PREFERENCE_SUM - priority) return false;
  return texts(object(rule["communities"])["values"]).length > 0 ? null : true;
}

/** What a filter's rules decide of a route, and the local preference that they give it. */
export function decide(
  filter: BgpFilter,
  direction: Direction,
  family: 4 | 6,
  route: Candidate,
  internal: boolean,
): { decision: Decision; preference: number | null } {
  for (const rule of filter.rules[`${direction}${family}`]) {
    const met = holds(rule, route, internal);
    if (met === false) continue;
    if (met === null) return { decision: "unknown", preference: route.preference };
    const set = list(rule["operations"])
      .map((each) => whole(object(object(each)["setPriority"])["value"]))
      .find((value) => value !== null);
    const accepted = text(rule["action"]) === "Accept";
    const preference = accepted && set !== undefined ? PREFERENCE_SUM - set : route.preference;
    return { decision: accepted ? "accept" : "reject", preference };
  }
  return { decision: "next", preference: route.preference };
}
