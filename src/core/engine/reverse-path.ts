/** Source validation of received IPv4 packets (fib_validate_source of net/ipv4/fib_frontend.c). */
import type { Ip } from "../model/address.ts";
import type { Device } from "./device.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";

export type SourceCheck = "ok" | "local-source" | "rp-filter" | { unknown: string };

/** Whether what came from `src` by `dev` may have. `oif`: device that the packet will leave by, null for local delivery. */
export function validateSource(
  ns: Ns,
  src: Ip,
  pkt: Pick<Packet, "dst" | "tos" | "mark" | "proto" | "sport" | "dport">,
  dev: Device,
  oif: Device | null,
): SourceCheck {
  const conf = dev.conf;
  const rpf = conf.rpFilter;
  if (rpf === null) return { unknown: `rp_filter of ${dev.name} was not recorded` };
  const fib = ns.fib(4);
  if (rpf === 0 && (oif !== dev || !conf.sendRedirects)) {
    if (conf.acceptLocal) return "ok";
    if (!fib.customLocalRoutes && !fib.customRules) return ns.owner(src) !== null ? "local-source" : "ok";
  }
  const flow = {
    dst: src,
    src: pkt.dst,
    iif: oif,
    oif: null,
    mark: conf.srcValidMark ? pkt.mark : 0,
    tos: pkt.tos,
    proto: 0,
    sport: 0,
    dport: 0,
    uid: 0,
  };
  // fib4_rules_early_flow_dissect: ports count only when a rule looks at them.
  if (fib.looksAtPorts) Object.assign(flow, { proto: pkt.proto, sport: pkt.dport, dport: pkt.sport });
  const r = fib.lookup(flow);
  if (r.unknown !== null) return { unknown: r.unknown };
  const noAddress = !dev.addresses.some((a) => a.ip.v === 4);
  const lastResort: SourceCheck = rpf !== 0 ? "rp-filter" : "ok";
  if (r.error !== null || r.route === null) return lastResort;
  const route = r.route;
  if (route.type !== "unicast" && !(route.type === "local" && conf.acceptLocal)) return "local-source";
  if (
    route.nexthops.some(
      (nh) =>
        nh.dev === dev.name ||
        (dev.masterName !== null && nh.dev === dev.masterName && dev.master?.link.kind.kind === "vrf"),
    )
  )
    return "ok";
  if (route.type === "local" && dev.isLoopback) return "ok";
  if (noAddress) return lastResort;
  return rpf === 1 ? "rp-filter" : "ok";
}
