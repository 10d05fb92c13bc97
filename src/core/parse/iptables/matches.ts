/** `-m MODULE …`: which reader knows which module. */
import type { XtMatch } from "../../model/xtables.ts";
import { conntrackMatch, helperMatch, markMatch, stateMatch } from "./matches-conntrack.ts";
import { limitMatch, nfacctMatch, recentMatch, setMatch, statisticMatch } from "./matches-counting.ts";
import {
  addrtypeMatch,
  devgroupMatch,
  iprangeMatch,
  macMatch,
  ownerMatches,
  physdevMatch,
  pkttypeMatch,
  realmMatch,
  rpfilterMatch,
  socketMatch,
} from "./matches-device.ts";
import { commentMatch, dscpMatch, lengthMatch, tosMatch, ttlMatch } from "./matches-header.ts";
import { icmpMatch, multiportMatch, portMatches, tcpmssMatch } from "./matches-transport.ts";
import { Words } from "./words.ts";

/** What a module's words mean; null when they hold an option that the model has no place for. */
type Reader = (w: Words, v6: boolean) => XtMatch | readonly XtMatch[] | null;

const READERS = new Map<string, Reader>(
  Object.entries({
    addrtype: addrtypeMatch,
    comment: commentMatch,
    connmark: (w) => markMatch("connmark", w),
    conntrack: conntrackMatch,
    dccp: (w) => portMatches("dccp", w),
    devgroup: devgroupMatch,
    dscp: dscpMatch,
    helper: helperMatch,
    hl: (w) => ttlMatch("hl", w),
    icmp: (w, v6) => (v6 ? null : icmpMatch(w, false)),
    icmp6: (w, v6) => (v6 ? icmpMatch(w, true) : null),
    icmpv6: (w, v6) => (v6 ? icmpMatch(w, true) : null),
    iprange: iprangeMatch,
    length: lengthMatch,
    limit: limitMatch,
    mac: macMatch,
    mark: (w) => markMatch("mark", w),
    multiport: multiportMatch,
    nfacct: nfacctMatch,
    owner: ownerMatches,
    physdev: physdevMatch,
    pkttype: pkttypeMatch,
    realm: realmMatch,
    recent: recentMatch,
    rpfilter: rpfilterMatch,
    sctp: (w) => portMatches("sctp", w),
    set: setMatch,
    socket: socketMatch,
    state: stateMatch,
    statistic: statisticMatch,
    tcp: (w) => portMatches("tcp", w),
    tcpmss: tcpmssMatch,
    tos: tosMatch,
    ttl: (w) => ttlMatch("ttl", w),
    udp: (w) => portMatches("udp", w),
    udplite: (w) => portMatches("udplite", w),
  } satisfies Record<string, Reader>),
);

/** Modules whose words are kept as they stand under a kind of their own. */
const AS_WORDS = ["hashlimit", "connbytes", "connlimit", "cgroup", "ecn"] as const;

/**
 * The matches of one `-m MODULE …`; `words` are those after the module's name, as printed. A module or an option that the model
 * does not know becomes `unmodelled`. Throws Malformed for a value that its option can't have.
 */
export function moduleMatches(module: string, words: readonly string[], v6: boolean): XtMatch | readonly XtMatch[] {
  const m = AS_WORDS.find((each) => each === module);
  if (m !== undefined) return { m, words };
  const w = new Words(words);
  const read = READERS.get(module)?.(w, v6) ?? null;
  if (read === null || w.option() !== null) return { m: "unmodelled", module, words };
  return read;
}
