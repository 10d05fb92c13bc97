/** Matches on where a packet came from or goes: addrtype, physdev, mac, pkttype, devgroup, rpfilter, socket, owner, realm, iprange. */
import type { Ip } from "../../model/address.ts";
import { compareIp } from "../../model/address.ts";
import type { XtMatch } from "../../model/xtables.ts";
import { U32, address, list, numberOrNull, range } from "./values.ts";
import { Malformed, type Words, shorten } from "./words.ts";

/** rtn_names of libxt_addrtype.c. */
const ADDRESS_TYPES = [
  "UNSPEC",
  "UNICAST",
  "LOCAL",
  "BROADCAST",
  "ANYCAST",
  "MULTICAST",
  "BLACKHOLE",
  "UNREACHABLE",
  "PROHIBIT",
  "THROW",
  "NAT",
  "XRESOLVE",
];

export function addrtypeMatch(w: Words): XtMatch | null {
  const match: Extract<XtMatch, { m: "addrtype" }> = {
    m: "addrtype",
    srcNot: false,
    src: null,
    dstNot: false,
    dst: null,
    limitIface: null,
  };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.name === "--src-type") {
      match.srcNot = o.not;
      match.src = list(w.value(), ADDRESS_TYPES, o.name);
    } else if (o.name === "--dst-type") {
      match.dstNot = o.not;
      match.dst = list(w.value(), ADDRESS_TYPES, o.name);
    } else if (o.name === "--limit-iface-in" && !o.not && match.limitIface === null) match.limitIface = "in";
    else if (o.name === "--limit-iface-out" && !o.not && match.limitIface === null) match.limitIface = "out";
    else return null;
  }
  if (match.src === null && match.dst === null) throw new Malformed("-m addrtype: expected --src-type or --dst-type");
  return match;
}

export function physdevMatch(w: Words): XtMatch | null {
  const match: Extract<XtMatch, { m: "physdev" }> = {
    m: "physdev",
    in: null,
    out: null,
    isIn: null,
    isOut: null,
    isBridged: null,
  };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.name === "--physdev-in") match.in = { not: o.not, name: w.value() };
    else if (o.name === "--physdev-out") match.out = { not: o.not, name: w.value() };
    else if (o.name === "--physdev-is-in") match.isIn = !o.not;
    else if (o.name === "--physdev-is-out") match.isOut = !o.not;
    else if (o.name === "--physdev-is-bridged") match.isBridged = !o.not;
    else return null;
  }
  return match;
}

export function macMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m mac: expected --mac-source");
  if (o.name !== "--mac-source") return null;
  const mac = w.value();
  if (!/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/.test(mac)) {
    throw new Malformed(`--mac-source: expected a MAC address, found ${shorten(mac)}`);
  }
  return { m: "mac", not: o.not, mac: mac.toLowerCase() };
}

const PACKET_TYPES = ["unicast", "broadcast", "multicast", "host", "otherhost"] as const;

export function pkttypeMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m pkttype: expected --pkt-type");
  const text = o.name === "--pkt-type" ? w.value() : "";
  const type = PACKET_TYPES.find((each) => each === text);
  return type === undefined ? null : { m: "pkttype", not: o.not, type };
}

/** `VALUE[/MASK]` in numbers; null for a name, whose meaning stands in the node's /etc/iproute2. */
function numeric(text: string): { value: number; mask: number } | null {
  const slash = text.indexOf("/");
  const value = numberOrNull(slash < 0 ? text : text.slice(0, slash), U32);
  const mask = slash < 0 ? U32 : numberOrNull(text.slice(slash + 1), U32);
  return value === null || mask === null ? null : { value, mask };
}

export function devgroupMatch(w: Words): XtMatch | null {
  const match: Extract<XtMatch, { m: "devgroup" }> = { m: "devgroup", src: null, dst: null };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.name !== "--src-group" && o.name !== "--dst-group") return null;
    const group = numeric(w.value());
    if (group === null) return null;
    match[o.name === "--src-group" ? "src" : "dst"] = { not: o.not, ...group };
  }
  if (match.src === null && match.dst === null) throw new Malformed("-m devgroup: expected --src-group or --dst-group");
  return match;
}

export function realmMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m realm: expected --realm");
  const realm = o.name === "--realm" ? numeric(w.value()) : null;
  return realm === null ? null : { m: "realm", not: o.not, ...realm };
}

export function rpfilterMatch(w: Words): XtMatch | null {
  const match = { m: "rpfilter" as const, loose: false, validmark: false, acceptLocal: false, invert: false };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--loose") match.loose = true;
    else if (o.name === "--validmark") match.validmark = true;
    else if (o.name === "--accept-local") match.acceptLocal = true;
    else if (o.name === "--invert") match.invert = true;
    else return null;
  }
  return match;
}

export function socketMatch(w: Words): XtMatch | null {
  const match = { m: "socket" as const, transparent: false, nowildcard: false, restoreSkmark: false };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--transparent") match.transparent = true;
    else if (o.name === "--nowildcard") match.nowildcard = true;
    else if (o.name === "--restore-skmark") match.restoreSkmark = true;
    else return null;
  }
  return match;
}

/** One match for each question of `-m owner`; the kernel asks all of them (owner_mt, net/netfilter/xt_owner.c). */
export function ownerMatches(w: Words): readonly XtMatch[] | null {
  const matches: Extract<XtMatch, { m: "owner" }>[] = [];
  let suppl = false;
  for (let o = w.option(); o !== null; o = w.option()) {
    const not = o.not;
    if (o.name === "--socket-exists")
      matches.push({ m: "owner", not, what: "socket-exists", range: null, supplGroups: false });
    else if (o.name === "--uid-owner" || o.name === "--gid-owner") {
      const what = o.name === "--uid-owner" ? "uid" : "gid";
      matches.push({ m: "owner", not, what, range: range(w.value(), "-", U32, o.name), supplGroups: false });
    } else if (o.name === "--suppl-groups" && !not) suppl = true;
    else return null;
  }
  const gid = matches.find((each) => each.what === "gid");
  if (matches.length === 0) throw new Malformed("-m owner: expected --uid-owner, --gid-owner or --socket-exists");
  if (suppl && gid === undefined) throw new Malformed("--suppl-groups: expected --gid-owner beside it");
  if (suppl && gid !== undefined) gid.supplGroups = true;
  return matches;
}

function ipRange(text: string, v6: boolean, what: string): { from: Ip; to: Ip } {
  const dash = text.indexOf("-");
  const from = address(dash < 0 ? text : text.slice(0, dash), v6, what);
  const to = dash < 0 ? from : address(text.slice(dash + 1), v6, what);
  if (compareIp(from, to) > 0) throw new Malformed(`${what}: expected a range upwards, found ${shorten(text)}`);
  return { from, to };
}

export function iprangeMatch(w: Words, v6: boolean): XtMatch | null {
  const match: Extract<XtMatch, { m: "iprange" }> = { m: "iprange", src: null, dst: null };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.name !== "--src-range" && o.name !== "--dst-range") return null;
    match[o.name === "--src-range" ? "src" : "dst"] = { not: o.not, ...ipRange(w.value(), v6, o.name) };
  }
  if (match.src === null && match.dst === null) throw new Malformed("-m iprange: expected --src-range or --dst-range");
  return match;
}
