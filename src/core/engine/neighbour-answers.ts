/** Who answers a request for a neighbour: own addresses, proxies, and what keeps a machine from answering (net/ipv4/arp.c, net/ipv6/ndisc.c). */
import { formatIp, inPrefix, type Ip } from "../model/address.ts";
import type { Route } from "../model/route.ts";
import { addrType } from "./address-type.ts";
import type { Device } from "./device.ts";
import type { Ns } from "./ns.ts";
import { validateSource } from "./reverse-path.ts";

/** arp_process and ndisc_recv_ns: whether this device's namespace answers a request for `ip` that came in by it. */
export function answers(dev: Device, ip: Ip, sender: Ip | null): boolean | { unknown: string } {
  if (dev.noarp) return false;
  const ns = dev.ns;

  return ip.v === 4 ? answersArp(ns, dev, ip, sender) : answersNd(ns, dev, ip);
}

function answersArp(ns: Ns, dev: Device, ip: Ip, sender: Ip | null): boolean | { unknown: string } {
  if (!dev.addresses.some((a) => a.ip.v === 4) && ns.missing("addr") !== null)
    return { unknown: `addresses of ${ns.place} are not known` };
  const fib = ns.fib(4);
  if (fib.unknown !== null) return { unknown: `routes of ${ns.place} are not known: ${fib.unknown}` };
  if (ns.missing("sysctl") !== null)
    return { unknown: `settings of ${ns.place} are not known: ${ns.missing("sysctl")}` };
  const type = addrType(ns, ip, null);
  if (type === "unknown") return { unknown: `routes of ${ns.place} are not known` };
  const flow = { tos: 0, mark: 0, proto: 0, sport: 0, dport: 0, dst: ip };
  // ip_route_input must accept the request: its sender may not look like a martian.
  if (sender !== null) {
    const check = validateSource(ns, sender, flow, dev, null);
    if (typeof check === "object") return check;
    if (type === "local" && check !== "ok") return false;
  }
  if (type === "local") {
    const own = dev.addresses.some((a) => a.ip.key === ip.key);
    switch (dev.conf.arpIgnore) {
      case 0:
        break;
      case 1:
        if (!own) return false;
        break;
      case 2:
        if (
          !own ||
          sender === null ||
          !dev.addresses.some((a) => a.ip.key === ip.key && inPrefix(sender, { ip: a.ip, len: a.prefixLen }))
        )
          return false;
        break;
      case 3:
        if (dev.addresses.some((a) => a.ip.key === ip.key && a.scope === "host")) return false;
        break;
      case 8:
        return false;
      default:
        break;
    }
    if (dev.conf.arpFilter && sender !== null) {
      const back = fib.lookup({
        dst: sender,
        src: ip,
        iif: null,
        oif: null,
        mark: 0,
        tos: 0,
        proto: 0,
        sport: 0,
        dport: 0,
        uid: 0,
      });
      if (back.error !== null) return false;
      const ways = leaving(back.route, dev);
      if (ways === "none") return false;
      if (ways === "some") return { unknown: whichWay(ns, ip) };
    }
    return true;
  }
  // arp_fwd_proxy: only where the device forwards, and only for what leaves by another one.
  if (dev.conf.forwarding4 !== true) return false;
  const r = fib.lookup({
    dst: ip,
    src: sender,
    iif: dev,
    oif: null,
    mark: 0,
    tos: 0,
    proto: 0,
    sport: 0,
    dport: 0,
    uid: null,
  });
  if (r.error !== null || r.route === null || r.route.type !== "unicast") return false;
  const ways = leaving(r.route, dev);
  if (ways === "all") return false;
  if (sender !== null) {
    const out = r.route.nexthops[0]?.dev ? (ns.byName.get(r.route.nexthops[0].dev) ?? null) : null;
    const check = validateSource(ns, sender, flow, dev, out);
    if (typeof check === "object") return check;
    if (check !== "ok") return false;
  }
  const proxies =
    dev.conf.proxyArp ||
    ns.model.proxyNeighbours.some((p) => p.ip.key === ip.key && (p.dev === null || p.dev === dev.name));
  return proxies && ways === "some" ? { unknown: whichWay(ns, ip) } : proxies;
}

/** How many of a route's next hops are by a device. */
function leaving(route: Route | null, dev: Device): "none" | "some" | "all" {
  const hops = route?.nexthops ?? [];
  const n = hops.filter((nh) => nh.dev === dev.name).length;
  return n === 0 ? "none" : n === hops.length ? "all" : "some";
}

/** fib_select_multipath: a hash with a secret takes one next hop. */
function whichWay(ns: Ns, ip: Ip): string {
  return `whether ${ns.place} answers for ${formatIp(ip)} depends on which next hop of a multipath route it looks at`;
}

function answersNd(ns: Ns, dev: Device, ip: Ip): boolean | { unknown: string } {
  const a = dev.addresses.find((x) => x.ip.key === ip.key);
  if (a !== undefined) return !a.tentative;
  // ndisc_recv_ns: proxies only with forwarding and a proxy entry (pndisc_lookup), or for an anycast address.
  if (dev.conf.forwarding6 === true && dev.conf.proxyNdp)
    return ns.model.proxyNeighbours.some((p) => p.ip.key === ip.key && (p.dev === null || p.dev === dev.name));
  return false;
}
