/** Ways to break the engine, each a small change of text: the fuzzer must notice every one. */

export interface Mutant {
  name: string;
  /** Below src/core/engine. */
  file: string;
  /** Stands in the file exactly once. */
  find: string;
  replace: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "conntrack sees packets after mangle",
    file: "hook-plan.ts",
    find: "const CONNTRACK = -200;",
    replace: "const CONNTRACK = -120;",
  },
  {
    name: "DNAT comes after filter",
    file: "hook-plan.ts",
    find: "const NAT_DST = -100;",
    replace: "const NAT_DST = 50;",
  },
  {
    name: "SNAT comes before mangle",
    file: "hook-plan.ts",
    find: "const NAT_SRC = 100;",
    replace: "const NAT_SRC = -160;",
  },
  {
    name: "no new route after mangle OUTPUT",
    file: "hooks.ts",
    find: "return changed ? reroute(run, ns, pkt) : null;",
    replace: "return null;",
  },
  {
    name: "no new route after DNAT in OUTPUT",
    file: "hooks.ts",
    find: "!sameIp(dst, pkt.dst)) return reroute(run, ns, pkt);",
    replace: "!sameIp(dst, pkt.dst)) return null;",
  },
  {
    name: "nat chains see every packet of a connection",
    file: "hooks.ts",
    find: "if (!done && (pkt.ctInfo",
    replace: "if ((pkt.ctInfo",
  },
  {
    name: "MARK forgets the bits outside of its mask",
    file: "netfilter/xt/target.ts",
    find: "s.pkt.mark = ((s.pkt.mark & keep) ^ value) >>> 0;",
    replace: "s.pkt.mark = value >>> 0;",
  },
  {
    name: "CONNMARK --save-mark saves nothing",
    file: "netfilter/xt/target.ts",
    find: "ct.mark = ((ct.mark & ~ctmask) ^ (s.pkt.mark & nfmask)) >>> 0;",
    replace: "ct.mark = (ct.mark & ~ctmask) >>> 0;",
  },
  {
    name: "CONNMARK --restore-mark restores nothing",
    file: "netfilter/xt/target.ts",
    find: "s.pkt.mark = ((s.pkt.mark & ~nfmask) ^ (ct.mark & ctmask)) >>> 0;",
    replace: "s.pkt.mark = (s.pkt.mark & ~nfmask) >>> 0;",
  },
  {
    name: "the mark crosses from namespace to namespace",
    file: "transmit.ts",
    find: "if (from.ns !== to.ns) pkt.mark = 0;",
    replace: "",
  },
  {
    name: "replies are rewritten in the wrong direction",
    file: "nat.ts",
    find: `return (manip === "src") !== reply ? ct.srcNat : ct.dstNat;`,
    replace: `return manip === "src" ? ct.srcNat : ct.dstNat;`,
  },
  {
    name: "a taken tuple does not move the source port",
    file: "nat.ts",
    find: "if (!clash && !req.random && !req.randomFully) return false;",
    replace: "if (!req.random && !req.randomFully) return false;",
  },
  { name: "a TTL of 1 is forwarded", file: "forward.ts", find: "if (pkt.ttl <= 1) {", replace: "if (pkt.ttl <= 0) {" },
  { name: "forwarding leaves the TTL alone", file: "forward.ts", find: "  pkt.ttl--;\n", replace: "" },
  {
    name: "no MTU on the way",
    file: "forward.ts",
    find: "if (pkt.length > mtu && pkt.df) {",
    replace: "if (pkt.length > mtu + 10000 && pkt.df) {",
  },
  {
    name: "strict rp_filter is loose",
    file: "reverse-path.ts",
    find: `return rpf === 1 ? "rp-filter" : "ok";`,
    replace: `return "ok";`,
  },
  {
    name: "rp_filter looks at the mark always",
    file: "reverse-path.ts",
    find: "mark: conf.srcValidMark ? pkt.mark : 0,",
    replace: "mark: pkt.mark,",
  },
  { name: "every device forwards", file: "input.ts", find: "  if (!forwards) {", replace: "  if (false) {" },
  {
    name: "127/8 is let in",
    file: "input.ts",
    find: "if (top(dst) === 127) return",
    replace: "if (top(dst) === 128) return",
  },
  {
    name: "INPUT comes before PREROUTING",
    file: "input.ts",
    find: `const fate = runHook(run, ns, "prerouting", pkt, dev.vrf`,
    replace: `const fate = runHook(run, ns, "input", pkt, dev.vrf`,
  },
  {
    name: "answers are NEW",
    file: "conntrack.ts",
    find: `  if (reply) {\n    pkt.ctInfo = "established";`,
    replace: `  if (reply) {\n    pkt.ctInfo = "new";`,
  },
  {
    name: "one zone for both directions",
    file: "conntrack.ts",
    find: `return z.zoneDir === "both" || (z.zoneDir === "reply") === reply ? z.zone : 0;`,
    replace: "return z.zone;",
  },
  {
    name: "connections that clash live side by side",
    file: "conntrack.ts",
    find: "if (clash !== null) {",
    replace: "if (false) {",
  },
  {
    name: "RETURN from a user's chain ends the base chain",
    file: "netfilter/run.ts",
    find: "return verdict === RETURN ? NEXT_RULE : verdict;",
    replace: "return verdict;",
  },
  {
    name: "goto comes back",
    file: "netfilter/run.ts",
    find: "if (verdict !== GOTO) return verdict;",
    replace: "if (verdict !== GOTO) return gotos > 0 && depth > 0 && verdict === RETURN ? ACCEPT : verdict;",
  },
  {
    name: "ports of a range end one earlier",
    file: "netfilter/xt/match-ports.ts",
    find: "return (p >= from && p <= to) === not ? NO : YES;",
    replace: "return (p >= from && p < to) === not ? NO : YES;",
  },
  {
    name: "nobody proxies ARP",
    file: "neighbour-answers.ts",
    find: "    dev.conf.proxyArp ||\n",
    replace: "",
  },
  {
    name: "arp_ignore 1 is 0",
    file: "neighbour-answers.ts",
    find: "        if (!own) return false;\n        break;",
    replace: "        break;",
  },
  {
    name: "frames go back out of the port that they came by",
    file: "bridge.ts",
    find: "  if (to === from && !(to.link.port?.hairpin ?? false)) {",
    replace: "  if (false) {",
  },
  {
    name: "bridged packets never meet IP's rules",
    file: "bridge.ts",
    find: "const filtered = callsIp(bridge, pkt.v);",
    replace: "const filtered = false;",
  },
  {
    name: "MASQUERADE goes by the destination, not the next hop",
    file: "rule-services.ts",
    find: "inetSelectAddr(c.ns, out, pkt.nextHop ?? pkt.dst, 0)",
    replace: "inetSelectAddr(c.ns, out, pkt.dst, 0)",
  },
  {
    name: "REDIRECT in OUTPUT goes to the destination",
    file: "rule-services.ts",
    find: `if (c.hook === "output") ip = pkt.v === 4 ? LOOPBACK_4 : LOOPBACK_6;`,
    replace: `if (c.hook === "output") ip = pkt.dst;`,
  },
  {
    name: "NOTRACK does nothing",
    file: "rule-services.ts",
    find: `pkt.ctInfo = "untracked";`,
    replace: "",
  },
  {
    name: "policy rules do not see the mark",
    file: "fib.ts",
    find: "if (rule.fwmark !== null && ((f.mark ^ rule.fwmark) & rule.fwmask) !== 0) return false;",
    replace: "if (rule.fwmark !== null) return false;",
  },
  {
    name: "suppress_prefixlength is one too long",
    file: "fib.ts",
    find: "route.dst.len <= rule.suppressPrefixLength",
    replace: "route.dst.len < rule.suppressPrefixLength",
  },
  {
    name: "the carrier of a tunnel has no mark",
    file: "vxlan.ts",
    find: "  outer.mark = pkt.mark;\n",
    replace: "",
  },
  {
    name: "the hop limit of neighbour discovery does not matter",
    file: "neighbour-discovery.ts",
    find: "return arrived.ttl === 255",
    replace: "return arrived.ttl !== 0",
  },
];
