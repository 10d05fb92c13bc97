/** Addresses of segments and loopbacks. */
import { type Plan, ip, sysctl, wants } from "./plan.ts";

/** Gives every segment a prefix or two and most members an address; then sets all links up. */
export function addresses(plan: Plan): void {
  const { rng } = plan;
  plan.segments.forEach((s, k) => {
    const families = rng.weighted([
      [5, "both"],
      [4, "v4"],
      [1.5, "v6"],
    ] as const);
    if (families !== "v6") s.v4 = { base: `10.${k + 1}.${rng.int(0, 255)}`, len: rng.pick([24, 24, 24, 16, 29, 28]) };
    if (s.v4?.len === 16) s.v4.base = `10.${k + 1}.0`;
    if (families !== "v4") s.v6 = { base: `fd00:${k + 1}:0:${rng.int(0, 9)}:`, len: 64 };
    s.members.forEach((m, i) => {
      // A bridge without an address of its own is a switch.
      if (s.kind === "bridge" && i === 0 && rng.chance(0.3)) return;
      if (s.v4) {
        m.v4 = `${s.v4.base}.${i + 1}`;
        ip(plan, m.ns, "address", `addr add ${m.v4}/${s.v4.len} brd + dev ${m.dev}`, "address");
      }
      if (s.v6) {
        m.v6 = `${s.v6.base}:${i + 1}`;
        ip(plan, m.ns, "address", `addr add ${m.v6}/${s.v6.len} dev ${m.dev} nodad`, "address");
      }
    });
  });
  plan.namespaces.forEach((_, ns) => {
    if (wants(plan, "loopback-address") && rng.chance(0.3)) {
      plan.extras.push({ ns, address: `10.200.${ns}.1`, family: 4 });
      ip(plan, ns, "address", `addr add 10.200.${ns}.1/32 dev lo`, "loopback-address");
    }
    if (wants(plan, "loopback-address") && rng.chance(0.2)) {
      plan.extras.push({ ns, address: `fd00:200:${ns}::1`, family: 6 });
      ip(plan, ns, "address", `addr add fd00:200:${ns}::1/128 dev lo nodad`, "loopback-address");
    }
  });
  if (wants(plan, "odd-address")) odd(plan);
  for (const d of plan.devices) ip(plan, d.ns, "address", `link set ${d.dev} up`, "up");
}

/** Secondary addresses, host and link scopes, point-to-point addresses, addresses without a route. */
function odd(plan: Plan): void {
  const { rng } = plan;
  for (const s of plan.segments) {
    for (const m of s.members) {
      if (!rng.chance(0.12) || m.v4 === null || s.v4 === null) continue;
      const other = `${s.v4.base}.${s.v4.len >= 29 ? 5 : rng.int(50, 60)}`;
      const more = `10.${rng.int(60, 80)}.${m.ns}.1`;
      const text = rng.pick([
        `addr add ${other}/${s.v4.len} dev ${m.dev}`,
        `addr add ${other}/32 dev ${m.dev}`,
        `addr add ${more}/24 dev ${m.dev}`,
        `addr add ${more}/24 dev ${m.dev} noprefixroute`,
        `addr add ${more}/32 dev ${m.dev} scope link`,
        `addr add ${more}/32 dev ${m.dev} scope host`,
        `addr add ${more} peer ${s.v4.base}.${s.v4.len >= 29 ? 6 : 77} dev ${m.dev}`,
      ]);
      ip(plan, m.ns, "address", text, "odd-address");
      if (text.includes(more)) plan.extras.push({ ns: m.ns, address: more, family: 4 });
      else plan.extras.push({ ns: m.ns, address: other, family: 4 });
    }
  }
}

/** Settings that every world has: no noise, quick failures, no rate limits. */
export function base(plan: Plan): void {
  const quiet: [string, string][] = [
    ["net/ipv4/icmp_ratelimit", "0"],
    ["net/ipv4/icmp_msgs_per_sec", "1000000"],
    ["net/ipv4/icmp_msgs_burst", "100000"],
    ["net/ipv6/icmp/ratelimit", "0"],
    ["net/ipv4/ping_group_range", "0 2147483647"],
    ["net/ipv4/tcp_syncookies", "0"],
    ["net/ipv6/conf/*/accept_dad", "0"],
    ["net/ipv6/conf/*/dad_transmits", "0"],
    ["net/ipv6/conf/*/router_solicitations", "0"],
    ["net/ipv6/conf/*/accept_ra", "0"],
    ["net/ipv6/conf/*/accept_redirects", "0"],
    ["net/ipv4/conf/*/accept_redirects", "0"],
    ["net/ipv4/conf/*/send_redirects", "0"],
    ["net/ipv4/conf/*/rp_filter", "0"],
    ["net/bridge/bridge-nf-call-iptables", "0"],
    ["net/bridge/bridge-nf-call-ip6tables", "0"],
    ["net/bridge/bridge-nf-call-arptables", "0"],
  ];
  plan.namespaces.forEach((_, ns) => {
    for (const [path, value] of quiet) sysctl(plan, ns, path, value, "base", "sysctl-before");
    ip(plan, ns, "link", "link set lo up", "up");
  });
}

/** Neighbour settings exist per interface only, once it is there. */
export const NEIGHBOUR_SETTINGS: [string, string][] = ["ipv4", "ipv6"].flatMap((f): [string, string][] => [
  [`net/${f}/neigh/*/mcast_solicit`, "1"],
  [`net/${f}/neigh/*/ucast_solicit`, "1"],
  [`net/${f}/neigh/*/retrans_time_ms`, "20"],
  [`net/${f}/neigh/*/proxy_delay`, "0"],
  [`net/${f}/neigh/*/anycast_delay`, "0"],
]);
