/** Matches on the transport header: tcp, udp and their like, icmp, multiport, tcpmss. */
import type { Range, XtMatch } from "../../model/xtables.ts";
import { icmpType } from "./icmp-types.ts";
import { U16, U8, number, range } from "./values.ts";
import { Malformed, type Words, shorten } from "./words.ts";

export const ALL_PORTS: Range = [0, U16];

/** Bits of the TCP flags in the order in which iptables prints them (tcp_flag_names, libxt_tcp.c). */
export const TCP_FLAGS: readonly (readonly [name: string, bit: number])[] = [
  ["FIN", 0x01],
  ["SYN", 0x02],
  ["RST", 0x04],
  ["PSH", 0x08],
  ["ACK", 0x10],
  ["URG", 0x20],
];

function tcpFlags(text: string): number {
  let bits = 0;
  for (const word of text.split(",")) {
    const flag = TCP_FLAGS.find(([name]) => name === word);
    if (flag !== undefined) bits |= flag[1];
    else if (word === "ALL") bits |= 0x3f;
    else if (word !== "NONE") throw new Malformed(`--tcp-flags: expected names of TCP flags, found ${shorten(text)}`);
  }
  return bits;
}

/**
 * `-m tcp`, `udp`, `sctp`, `dccp`, `udplite`: one match for each option that asks something. A module that asks for nothing but a whole
 * header is a source port of 0:65535, as the kernel stores it. Null for options that are not modelled.
 */
export function portMatches(ext: string, w: Words): readonly XtMatch[] | null {
  const matches: XtMatch[] = [];
  for (let o = w.option(); o !== null; o = w.option()) {
    const not = o.not;
    if (o.name === "--sport" || o.name === "--dport") {
      matches.push({
        m: o.name === "--sport" ? "sport" : "dport",
        ext,
        not,
        range: range(w.value(), ":", U16, o.name),
      });
    } else if (ext !== "tcp") {
      return null;
    } else if (o.name === "--tcp-flags") {
      matches.push({ m: "tcp-flags", not, mask: tcpFlags(w.value()), comp: tcpFlags(w.value()) });
    } else if (o.name === "--tcp-option") {
      matches.push({ m: "tcp-option", not, option: number(w.value(), U8, o.name) });
    } else return null;
  }
  return matches.length === 0 ? [{ m: "sport", ext, not: false, range: ALL_PORTS }] : matches;
}

export function icmpMatch(w: Words, v6: boolean): XtMatch | null {
  const o = w.option();
  // icmp_init of libipt_icmp.c: without an option every type matches; libip6t_icmp6 insists on its option.
  if (o === null) {
    if (v6) throw new Malformed("-m icmp6: expected --icmpv6-type");
    return { m: "icmp", v6, not: false, type: 255, code: [0, U8] };
  }
  if (o.name !== (v6 ? "--icmpv6-type" : "--icmp-type")) return null;
  const type = icmpType(w.value(), v6);
  return type === null ? null : { m: "icmp", v6, not: o.not, type: type.type, code: type.code };
}

const SIDES: Readonly<Record<string, "src" | "dst" | "both">> = {
  "--sports": "src",
  "--dports": "dst",
  "--ports": "both",
};

export function multiportMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m multiport: expected --sports, --dports or --ports");
  const side = SIDES[o.name];
  if (side === undefined) return null;
  const text = w.value();
  const ports = text.split(",").map((part) => range(part, ":", U16, o.name));
  // XT_MULTI_PORTS of include/uapi/linux/netfilter/xt_multiport.h; a range takes two places.
  if (ports.reduce((n, [from, to]) => n + (from === to ? 1 : 2), 0) > 15) {
    throw new Malformed(`${o.name}: expected at most 15 ports, found ${shorten(text)}`);
  }
  return { m: "multiport", not: o.not, side, ports };
}

export function tcpmssMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m tcpmss: expected --mss");
  return o.name === "--mss" ? { m: "tcpmss", not: o.not, range: range(w.value(), ":", U16, o.name) } : null;
}
