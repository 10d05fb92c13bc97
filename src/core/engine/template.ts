/** The template that `-j CT --zone` hangs on a packet before conntrack sees it: to iptables' matches it is a connection like any other. */
import { ip4, ip6 } from "../model/address.ts";
import type { Connection } from "./connection.ts";
import type { Packet } from "./packet.ts";

/** nf_ct_tmpl_alloc, xt_ct_tg_check: nothing is set in it but IPS_CONFIRMED. */
function blank(v: 4 | 6): Connection {
  const none = v === 4 ? ip4(0) : ip6(0, 0, 0, 0);
  const tuple = { src: none, dst: none, sport: 0, dport: 0, icmpType: 0, icmpCode: 0, icmpId: 0 };
  return {
    v,
    proto: 0,
    orig: tuple,
    reply: tuple,
    zone: 0,
    zoneDir: "both",
    mark: 0,
    seenReply: false,
    assured: false,
    confirmed: true,
    srcNat: false,
    dstNat: false,
    srcNatDone: false,
    dstNatDone: false,
    expected: false,
    helper: null,
    state: null,
    source: null,
    randomOrig: false,
    randomReply: false,
  };
}

const TEMPLATES = { 4: blank(4), 6: blank(6) } as const;

/** What nf_ct_get gives for a packet that conntrack has not seen; null without a template. Not to be changed: what rules write in one, none read. */
export function templateOf(pkt: Packet): Connection | null {
  return pkt.template && pkt.ctInfo === "none" ? TEMPLATES[pkt.v] : null;
}
