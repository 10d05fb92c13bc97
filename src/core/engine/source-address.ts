/** Which of its addresses a namespace puts on what it sends. */
import { inPrefix, type Ip, type Prefix } from "../model/address.ts";
import type { LinkAddress } from "../model/link.ts";
import type { Device } from "./device.ts";
import type { Ns } from "./ns.ts";

const SCOPES: Record<string, number> = { global: 0, universe: 0, site: 200, link: 253, host: 254, nowhere: 255 };

/** rt_scope names as numbers; unknown names count as global. */
export function scopeNumber(name: string): number {
  return SCOPES[name] ?? (Number(name) || 0);
}

/** inet_select_addr: an IPv4 address of `dev` for talking to `dst`, of at most the given scope; else one of any device. Null when there is none. */
export function inetSelectAddr(ns: Ns, dev: Device | null, dst: Ip | null, scope: number): Ip | null {
  if (dev !== null) {
    const localnet = dev.conf.routeLocalnet ? 253 : 254;
    let first: Ip | null = null;
    for (const a of dev.addresses) {
      if (a.ip.v !== 4 || a.secondary || Math.min(scopeNumber(a.scope), localnet) > scope) continue;
      // inet_ifa_match goes by the far end's prefix of a point-to-point address.
      if (dst === null || dst.v !== 4 || inPrefix(dst, a.peer ?? { ip: a.ip, len: a.prefixLen })) return a.ip;
      first ??= a.ip;
    }
    if (first !== null) return first;
  }
  // Addresses of other devices in the order of the device list, the loopback device first.
  for (const other of ns.devices) {
    if (other.vrf !== null) continue;
    for (const a of other.addresses) {
      const s = scopeNumber(a.scope);
      if (a.ip.v === 4 && !a.secondary && s !== 253 && s <= scope) return a.ip;
    }
  }
  return null;
}

/** __ipv6_addr_type's scope, as RFC 4291 and RFC 6724 number them. */
function scope6(ip: Ip): number {
  if (ip.a >>> 24 === 0xff) return (ip.a >>> 16) & 15;
  if (ip.a >>> 22 === 0x3fa) return 2;
  if (ip.a >>> 22 === 0x3fb) return 5;
  if (ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 1) return 2;
  return 14;
}

/** Default policy table of RFC 6724 §2.1 as the kernel has it (ip6addrlbl_init_table). */
const LABELS: readonly [prefix: Prefix, label: number][] = [
  [{ ip: { v: 6, a: 0, b: 0, c: 0, d: 1, key: "" }, len: 128 }, 0],
  [{ ip: { v: 6, a: 0xfc000000 | 0, b: 0, c: 0, d: 0, key: "" }, len: 7 }, 5],
  [{ ip: { v: 6, a: 0xfec00000 | 0, b: 0, c: 0, d: 0, key: "" }, len: 10 }, 11],
  [{ ip: { v: 6, a: 0x20020000, b: 0, c: 0, d: 0, key: "" }, len: 16 }, 2],
  [{ ip: { v: 6, a: 0x3ffe0000, b: 0, c: 0, d: 0, key: "" }, len: 16 }, 12],
  [{ ip: { v: 6, a: 0x20010000, b: 0, c: 0, d: 0, key: "" }, len: 32 }, 6],
  [{ ip: { v: 6, a: 0x20010010, b: 0, c: 0, d: 0, key: "" }, len: 28 }, 7],
  [{ ip: { v: 6, a: 0, b: 0, c: 0xffff, d: 0, key: "" }, len: 96 }, 4],
  [{ ip: { v: 6, a: 0, b: 0, c: 0, d: 0, key: "" }, len: 96 }, 3],
];

function label6(ip: Ip): number {
  for (const [prefix, label] of LABELS) if (inPrefix(ip, prefix)) return label;
  return 1;
}

function commonPrefix(x: Ip, y: Ip): number {
  let n = 0;
  for (const [p, q] of [
    [x.a, y.a],
    [x.b, y.b],
    [x.c, y.c],
    [x.d, y.d],
  ] as const) {
    const diff = p ^ q;
    if (diff !== 0) return n + Math.clz32(diff);
    n += 32;
  }
  return n;
}

/** ipv6_dev_get_saddr: RFC 6724 source selection among the addresses of the namespace, those of `dev` preferred. Null when there is none. */
export function ipv6SelectAddr(ns: Ns, dev: Device | null, dst: Ip): Ip | null {
  const want = scope6(dst);
  const wantLabel = label6(dst);
  let best: { a: LinkAddress; own: boolean } | null = null;
  // For link-local and multicast destinations only the outgoing device's own addresses count.
  const strict = (dst.a >>> 24 === 0xff || want <= 2) && dev !== null;
  for (const d of strict ? [dev!] : ns.devices) {
    if (d !== dev && d.master !== dev?.master && d.master?.link.kind.kind === "vrf") continue;
    for (const a of d.addresses) {
      // IFA_F_TENTATIVE without IFA_F_OPTIMISTIC; link-local and multicast scopes of other links.
      if (a.ip.v !== 6 || (a.tentative && !a.dadFailed) || a.dadFailed) continue;
      const own = d === dev;
      if (best === null || better(a, own, best, dst, want, wantLabel)) best = { a, own };
    }
  }
  return best?.a.ip ?? null;
}

/** Rules of ipv6_get_saddr_eval in their order; true when `a` wins over `best`. */
function better(
  a: LinkAddress,
  own: boolean,
  best: { a: LinkAddress; own: boolean },
  dst: Ip,
  want: number,
  wantLabel: number,
): boolean {
  const b = best.a;
  // Rule 1: the destination itself.
  if (a.ip.key === dst.key || b.ip.key === dst.key) return a.ip.key === dst.key && b.ip.key !== dst.key;
  // Rule 2: the smallest scope that is large enough; among too small ones the largest.
  const sa = scope6(a.ip);
  const sb = scope6(b.ip);
  if (sa !== sb) {
    const okA = sa >= want;
    const okB = sb >= want;
    if (okA !== okB) return okA;
    return okA ? sa < sb : sa > sb;
  }
  // Rule 3: not deprecated.
  if (a.deprecated !== b.deprecated) return !a.deprecated;
  // Rule 5: on the outgoing device.
  if (own !== best.own) return own;
  // Rule 6: the destination's label.
  const la = label6(a.ip) === wantLabel;
  const lb = label6(b.ip) === wantLabel;
  if (la !== lb) return la;
  // Rule 8: the longest common prefix, no longer than the address's own.
  const ca = Math.min(commonPrefix(a.ip, dst), a.prefixLen);
  const cb = Math.min(commonPrefix(b.ip, dst), b.prefixLen);
  return ca > cb;
}
