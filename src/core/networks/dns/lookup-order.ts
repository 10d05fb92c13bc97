/**
 * How a C library looks a name up: which absolute names it asks for, in which order, and when it stops.
 * glibc: resolv/res_query.c, __res_context_search. musl: src/network/lookup_name.c, name_from_dns_search.
 */
import { ndotsOf, searchOf, serversOf, type Libc, type ResolvConf } from "./resolv-conf.ts";

/** What a server says to one question, as far as the resolver's next step goes. */
export type Outcome = "answer" | "nodata" | "nxdomain" | "servfail";

/** Asks for an absolute name (without final dot). */
export type Ask = (name: string, type: "A" | "AAAA") => Outcome;

/** One question that went out. */
export interface Query {
  name: string;
  type: "A" | "AAAA";
  outcome: Outcome;
}

export interface Lookup {
  queries: Query[];
  /** The name that was answered; null when none was. */
  found: string | null;
  /** What the program gets: its address, or EAI_NONAME, EAI_NODATA, EAI_AGAIN as getaddrinfo(3) has them. */
  result: "found" | "no-name" | "no-data" | "again";
}

/** Families that are asked for: AF_UNSPEC asks both, and both questions of one name go out together. */
export type Families = readonly ("A" | "AAAA")[];
const BOTH: Families = ["A", "AAAA"];

const dotsIn = (name: string): number => name.split(".").length - 1;

/** `name` under one element of a search list; under the root it stays as it is. */
const under = (name: string, domain: string): string => (domain === "." || domain === "" ? name : `${name}.${domain}`);

/**
 * The absolute names that are tried for `name` as long as none is answered, in order.
 * glibc: as it is first when it has at least ndots dots, else last; a final dot: only as it is. musl: with at least ndots dots the
 * search list is not used at all.
 */
export function candidates(name: string, conf: ResolvConf, libc: Libc): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const early = dotsIn(name) >= ndotsOf(conf);
  const search = searchOf(conf, libc);
  if (libc === "musl") return early ? [name] : [...search.map((domain) => under(name, domain)), name];
  const searched = search.map((domain) => under(name, domain));
  // An element "." of the list is the name as it is; it is not asked for a second time (root_on_list).
  if (early) return [name, ...searched.filter((each) => each !== name)];
  return searched.includes(name) ? searched : [...searched, name];
}

/** Whether musl goes on to the next name: only NXDOMAIN of the first answer says so (name_from_dns returns 0). */
const muslGoesOn = (outcomes: readonly Outcome[]): boolean => outcomes[0] === "nxdomain";

/**
 * Looks `name` up. Both libraries ask the servers for every family of a name at once, so each tried name costs as many queries as
 * there are families. glibc goes on after NXDOMAIN, after an empty answer and after SERVFAIL; musl only after NXDOMAIN.
 */
export function lookUp(name: string, conf: ResolvConf, libc: Libc, ask: Ask, families: Families = BOTH): Lookup {
  const queries: Query[] = [];
  let worst: "no-name" | "no-data" | "again" = "no-name";
  for (const candidate of candidates(name, conf, libc)) {
    const outcomes = families.map((type): Outcome => {
      const outcome = ask(candidate, type);
      queries.push({ name: candidate, type, outcome });
      return outcome;
    });
    if (outcomes.includes("answer")) return { queries, found: candidate, result: "found" };
    if (libc === "musl" && !muslGoesOn(outcomes))
      return { queries, found: null, result: outcomes[0] === "nodata" ? "no-data" : "again" };
    if (outcomes.includes("servfail")) worst = "again";
    else if (outcomes.includes("nodata") && worst === "no-name") worst = "no-data";
  }
  return { queries, found: null, result: worst };
}

/** What a lookup costs. */
export interface LookupCost {
  /** Questions of the resolver. */
  queries: number;
  /** Packets that leave: musl asks all its servers at once, glibc the first one only, as long as it answers. */
  packets: number;
  /** Questions that were answered with NXDOMAIN: what a search list costs. */
  wasted: number;
}

/** The cost of a lookup that was made, for a resolver of this configuration. */
export function costOf(lookup: Lookup, conf: ResolvConf, libc: Libc): LookupCost {
  const queries = lookup.queries.length;
  return {
    queries,
    packets: libc === "musl" ? queries * Math.max(1, serversOf(conf).length) : queries,
    wasted: lookup.queries.filter((query) => query.outcome === "nxdomain").length,
  };
}
