/** Every match of iptables and ip6tables as a test. */
import type { XtMatch } from "../../../model/xtables.ts";
import { directions } from "../ipset/fields.ts";
import { MAYBE, NO, YES } from "../program.ts";
import type { Test } from "../program.ts";
import { undecided } from "./env.ts";
import type { XtEnv } from "./env.ts";
import { connmark, conntrack, helper } from "./match-conntrack.ts";
import * as header from "./match-header.ts";
import * as host from "./match-host.ts";
import * as ports from "./match-ports.ts";
import { recent } from "./recent.ts";

/** Accounting objects that kube-proxy makes, without a quota (pkg/proxy/metrics: nfacct counters). */
const KUBE_PROXY_ACCOUNTS = new Set(["ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"]);

/** Tests for a match; none when it always holds. Matches by chance are not tests (chance.ts). */
export function compileMatch(m: XtMatch, env: XtEnv): readonly Test[] {
  const test = one(m, env);
  return test === null ? [] : Array.isArray(test) ? test : [test as Test];
}

function one(m: XtMatch, env: XtEnv): Test | null | readonly Test[] {
  switch (m.m) {
    case "src":
    case "dst":
      return header.address(m.m, m.prefix, m.not);
    case "src-mask":
      return header.maskedAddress("src", m.addr, m.not);
    case "dst-mask":
      return header.maskedAddress("dst", m.addr, m.not);
    case "in":
    case "out":
      return header.device(m.m, m.name, m.not);
    case "proto":
      return header.protocol(m.proto, m.not);
    case "fragment":
      return header.fragment(m.not);
    case "sport":
    case "dport":
      return ports.port(m.m, m.ext, m.range, m.not);
    case "tcp-flags":
      return ports.tcpFlags(m.mask, m.comp, m.not);
    case "tcp-option":
      return ports.tcpOption(m.option);
    case "tcpmss":
      return ports.tcpMss(m.not);
    case "icmp":
      return ports.icmp(m.v6, m.type, m.code, m.not);
    case "multiport":
      return ports.multiport(m.side, m.ports, m.not);
    case "addrtype":
      return host.addrtype(m);
    case "conntrack":
      return conntrack(m);
    case "mark":
      return header.mark(m.value, m.mask, m.not);
    case "connmark":
      return connmark(m.value, m.mask, m.not);
    case "random":
    case "nth":
    case "comment":
      return null;
    case "set":
      return setMatch(m, env);
    case "recent":
      return recent(m, env.recent);
    case "rpfilter":
      return host.rpfilter(m);
    case "physdev":
      return host.physdev(m);
    case "mac":
      return header.mac(m.mac, m.not);
    case "socket":
      return host.socket(m);
    case "ttl":
    case "hl":
      return header.ttl(m.op, m.value);
    case "length":
      return header.length(m.range, m.not);
    case "owner":
      return host.owner(m);
    case "dscp":
      return header.dscp(m.value, m.not);
    case "tos":
      return header.tos(m.value, m.mask, m.not);
    case "pkttype":
      return header.packetType(m.type, m.not);
    case "iprange":
      return [
        ...(m.src === null ? [] : [header.range("src", m.src)]),
        ...(m.dst === null ? [] : [header.range("dst", m.dst)]),
      ];
    case "devgroup":
      return [
        ...(m.src === null ? [] : [header.deviceGroup("src", m.src)]),
        ...(m.dst === null ? [] : [header.deviceGroup("dst", m.dst)]),
      ];
    case "helper":
      return helper(m.name, m.not);
    case "realm":
      return undecided("routing realms are not modelled");
    case "nfacct":
      // nfacct_mt: true unless the object has a quota that is used up, which no recording shows.
      return KUBE_PROXY_ACCOUNTS.has(m.name.trim())
        ? null
        : undecided(`whether the accounting object ${m.name.trim()} has a quota is not recorded`);
    case "limit":
      return undecided(`the limit of ${m.rate} may be reached or not`);
    case "hashlimit":
      return undecided("hashlimit: its rate may be reached or not");
    case "connbytes":
      return undecided("connbytes: what the connection has carried is not modelled");
    case "connlimit":
      return undecided("connlimit: how many connections there are is not modelled");
    case "cgroup":
      return undecided("cgroup: the sender's control group is not modelled");
    case "ecn":
      return undecided("match ecn is not modelled");
    case "unmodelled":
      return undecided(`match ${m.module} is not modelled`);
  }
}

/** Options of `--match-set` that ask for the element's counters. */
const COUNTER = /^--(?:packets|bytes)-(?:eq|lt|gt)$/;

/** set_match_v4 (xt_set.c). */
function setMatch(m: Extract<XtMatch, { m: "set" }>, env: XtEnv): Test {
  const dirs = directions(m.dirs, m.options.includes("--return-nomatch"));
  const counters = m.options.some((o) => COUNTER.test(o));
  const { sets } = env;
  const { name, not } = m;
  const hit = not ? NO : YES;
  const other = not ? YES : NO;
  return (s) => {
    const answer = sets.test(name, s, dirs);
    if (answer === NO) return other;
    if (answer === MAYBE) return MAYBE;
    if (!counters) return hit;
    s.why = `the counters that the rule asks of the set ${name} run on`;
    return MAYBE;
  };
}
