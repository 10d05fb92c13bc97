/** Settings that change a packet's way, MTUs, and neighbour entries that are there before anybody asks. */
import { mac } from "./topology.ts";
import { type Plan, devicesOf, ip, sysctl, vacant, wants } from "./plan.ts";

/** Random settings. */
export function settings(plan: Plan): void {
  const { rng } = plan;
  plan.namespaces.forEach((_, ns) => {
    const devs = ["all", ...devicesOf(plan, ns).map((d) => d.dev)];
    const per = (
      feature: string,
      p: number,
      key: string,
      values: readonly number[],
      family: "ipv4" | "ipv6" = "ipv4",
    ): void => {
      if (!wants(plan, feature) || !rng.chance(p)) return;
      sysctl(plan, ns, `net/${family}/conf/${rng.pick(devs)}/${key}`, rng.pick(values), feature);
    };
    per("rp_filter", 0.25, "rp_filter", [1, 1, 2]);
    per("rp_filter", 0.1, "rp_filter", [0, 1, 2]);
    per("device-forwarding", 0.1, "forwarding", [0, 0, 1]);
    per("device-forwarding", 0.06, "forwarding", [0, 1], "ipv6");
    per("accept_local", 0.08, "accept_local", [1]);
    per("route_localnet", 0.1, "route_localnet", [1]);
    per("arp_ignore", 0.1, "arp_ignore", [1, 2, 3, 8]);
    per("arp_filter", 0.08, "arp_filter", [1]);
    per("arp_announce", 0.08, "arp_announce", [1, 2]);
    per("proxy_arp", 0.1, "proxy_arp", [1]);
    per("src_valid_mark", 0.08, "src_valid_mark", [1]);
    per("disable_ipv6", 0.02, "disable_ipv6", [1], "ipv6");
    const one = (feature: string, p: number, path: string, values: readonly number[]): void => {
      if (wants(plan, feature) && rng.chance(p)) sysctl(plan, ns, path, rng.pick(values), feature);
    };
    one("fwmark", 0.1, "net/ipv4/fwmark_reflect", [1]);
    one("fwmark", 0.1, "net/ipv6/fwmark_reflect", [1]);
    one("fwmark", 0.1, "net/ipv4/tcp_fwmark_accept", [1]);
    one("icmp-ignore", 0.04, "net/ipv4/icmp_echo_ignore_all", [1]);
    one("icmp-ignore", 0.04, "net/ipv6/icmp/echo_ignore_all", [1]);
    one("icmp-ignore", 0.05, "net/ipv4/icmp_errors_use_inbound_ifaddr", [1]);
    one("ttl", 0.05, "net/ipv4/ip_default_ttl", [1, 2, 3]);
    one("nonlocal", 0.05, "net/ipv4/ip_nonlocal_bind", [1]);
    if (wants(plan, "mtu")) {
      for (const d of devicesOf(plan, ns)) {
        if (d.kind !== "veth" && d.kind !== "bridge" ? true : !rng.chance(0.08)) continue;
        d.mtu = rng.pick([1280, 1400, 1450, 1492]);
        ip(plan, ns, "address", `link set ${d.dev} mtu ${d.mtu}`, "mtu");
      }
    }
  });
  if (wants(plan, "neighbour")) neighbours(plan);
  if (wants(plan, "link-down")) {
    const d = rng.maybe(plan.devices.filter((x) => x.kind !== "lo"));
    if (d && rng.chance(0.04)) ip(plan, d.ns, "route", `link set ${d.dev} down`, "link-down");
  }
}

function neighbours(plan: Plan): void {
  const { rng } = plan;
  for (const s of plan.segments) {
    for (const m of s.members) {
      if (!rng.chance(0.12)) continue;
      const others = s.members.filter((o) => o !== m && o.v4 !== null);
      const o = rng.maybe(others);
      const free = vacant(s, 4);
      const lines: string[] = [];
      if (o)
        lines.push(
          `neigh replace ${o.v4} lladdr ${rng.chance(0.5) ? "02:00:00:00:00:99" : mac(o.ns, 77)} dev ${m.dev} nud permanent`,
        );
      if (free) lines.push(`neigh replace ${free} lladdr ${mac(m.ns, 99)} dev ${m.dev} nud permanent`);
      if (free && m.v4) lines.push(`neigh add proxy ${free} dev ${m.dev}`);
      const line = rng.maybe(lines);
      if (line) ip(plan, m.ns, "route", line, "neighbour");
    }
  }
}
