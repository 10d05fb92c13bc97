/**
 * The ruleset that kube-proxy v1.34 leaves on a node in nftables mode, for any number of Services.
 * Names and rules are those of pkg/proxy/nftables/proxier.go (setupNFTables, syncProxyRules, writeServiceToEndpointRules).
 */
import { createHash } from "node:crypto";
import { CLUSTER_CIDR, SERVICE_CIDR } from "./kube-proxy-iptables.ts";
import type { KubeService } from "./kube-proxy-iptables.ts";
import { printNft } from "./nft-print.ts";
import type { Json, NftChainText, NftRuleText, NftSetText, NftTableText, Printed } from "./nft-print.ts";

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** hashAndTruncate: eight characters of base32(sha256), then the name, cut to 240 characters. */
function hashed(name: string): string {
  const digest = createHash("sha256").update(name).digest();
  const bits = digest.readUIntBE(0, 5);
  let hash = "";
  for (let i = 7; i >= 0; i--) hash += BASE32[Math.floor(bits / 32 ** i) % 32]!;
  const whole = `${hash}-${name}`;
  return whole.length > 240 ? `${whole.slice(0, 237)}...` : whole;
}

const serviceName = (s: KubeService): string => `${s.namespace}/${s.name}/${s.protocol}/${s.portName}`;
const serviceChainName = (s: KubeService): string => `service-${hashed(serviceName(s))}`;
const endpointChainName = (s: KubeService, ip: string, port: number): string =>
  `endpoint-${hashed(`${serviceName(s)}__${ip}/${port}`)}`;

const match = (op: string, left: Json, right: Json): Json => ({ match: { op, left, right } });
const payload = (protocol: string, field: string): Json => ({ payload: { protocol, field } });
const meta = (key: string): Json => ({ meta: { key } });
const jump = (target: string): Json => ({ jump: { target } });
const goTo = (target: string): Json => ({ goto: { target } });

function prefix(text: string): Json {
  const [addr, len] = text.split("/");
  return { prefix: { addr: addr!, len: Number(len) } };
}

const rule = (text: string, ...expr: Json[]): NftRuleText => ({ text, expr });

const ifNew = (target: string): NftRuleText =>
  rule(`ct state new jump ${target}`, match("in", { ct: { key: "state" } }, "new"), jump(target));

const L4 = "meta l4proto . th dport";
const L4_KEY: readonly Json[] = [meta("l4proto"), payload("th", "dport")];

/** `KEY vmap @NAME`. */
const vmap = (key: readonly Json[], name: string): Json => ({ vmap: { key: { concat: key }, data: `@${name}` } });

/** The chains that every ruleset has, in the order in which kube-proxy makes them. */
function standingChains(family: "ip" | "ip6"): NftChainText[] {
  const daddr = payload(family, "daddr");
  const byService = (map: string): NftRuleText =>
    rule(`${family} daddr . ${L4} vmap @${map}`, vmap([daddr, ...L4_KEY], map));
  // Node ports: of IPv4 on the primary addresses, of IPv6 on all but the loopback one (--nodeport-addresses).
  const toNodePort = (map: string): NftRuleText =>
    family === "ip"
      ? rule(`ip daddr @nodeport-ips ${L4} vmap @${map}`, match("==", daddr, "@nodeport-ips"), vmap(L4_KEY, map))
      : rule(`ip6 daddr != ::1 ${L4} vmap @${map}`, match("!=", daddr, "::1"), vmap(L4_KEY, map));
  const ofLocal = match("==", { fib: { result: "type", flags: ["daddr"] } }, "local");
  const nodePorts = toNodePort("service-nodeports");
  const servicesNodePorts =
    family === "ip"
      ? nodePorts
      : { text: `fib daddr type local ${nodePorts.text}`, expr: [ofLocal, ...nodePorts.expr] };
  const rejecting: Json = { reject: { type: family === "ip" ? "icmp" : "icmpv6", expr: "port-unreachable" } };
  const rejected = 'comment "Reject traffic to invalid ports of ClusterIPs"';
  const unallocated = 'comment "Drop traffic to unallocated ClusterIPs"';
  const checks: NftRuleText[] = [
    {
      ...rule(`${family} daddr @cluster-ips reject ${rejected}`, match("==", daddr, "@cluster-ips"), rejecting),
      comment: "Reject traffic to invalid ports of ClusterIPs",
    },
  ];
  if (family === "ip") {
    checks.push({
      ...rule(`ip daddr ${SERVICE_CIDR} drop ${unallocated}`, match("==", daddr, prefix(SERVICE_CIDR)), { drop: null }),
      comment: "Drop traffic to unallocated ClusterIPs",
    });
  }
  const base = (type: string, hook: string, priority: string, prio: number): NftChainText["base"] => ({
    type,
    hook,
    priority,
    prio,
  });
  const changeMark = (op: "^" | "|"): NftRuleText =>
    rule(`meta mark set meta mark ${op} 0x00004000`, {
      mangle: { key: meta("mark"), value: { [op]: [meta("mark"), 0x4000] } },
    });
  return [
    {
      name: "filter-prerouting-pre-dnat",
      base: base("filter", "prerouting", "dstnat - 10", -110),
      rules: [ifNew("firewall-check")],
    },
    { name: "filter-output-pre-dnat", base: base("filter", "output", "-110", -110), rules: [ifNew("firewall-check")] },
    {
      name: "filter-input",
      base: base("filter", "input", "filter", 0),
      rules: [ifNew("nodeport-endpoints-check"), ifNew("service-endpoints-check")],
    },
    {
      name: "filter-forward",
      base: base("filter", "forward", "filter", 0),
      rules: [ifNew("service-endpoints-check"), ifNew("cluster-ips-check")],
    },
    {
      name: "filter-output",
      base: base("filter", "output", "filter", 0),
      rules: [ifNew("service-endpoints-check"), ifNew("cluster-ips-check")],
    },
    {
      name: "nat-prerouting",
      base: base("nat", "prerouting", "dstnat", -100),
      rules: [rule("jump services", jump("services"))],
    },
    { name: "nat-output", base: base("nat", "output", "-100", -100), rules: [rule("jump services", jump("services"))] },
    {
      name: "nat-postrouting",
      base: base("nat", "postrouting", "srcnat", 100),
      rules: [rule("jump masquerading", jump("masquerading"))],
    },
    { name: "nodeport-endpoints-check", rules: [toNodePort("no-endpoint-nodeports")] },
    { name: "service-endpoints-check", rules: [byService("no-endpoint-services")] },
    { name: "firewall-check", rules: [byService("firewall-ips")] },
    { name: "services", rules: [byService("service-ips"), servicesNodePorts] },
    {
      name: "masquerading",
      rules: [
        rule("meta mark & 0x00004000 == 0x00000000 return", match("==", { "&": [meta("mark"), 0x4000] }, 0), {
          return: null,
        }),
        changeMark("^"),
        rule("masquerade fully-random", { masquerade: { flags: "fully-random" } }),
      ],
    },
    { name: "cluster-ips-check", rules: checks },
    { name: "mark-for-masquerade", rules: [changeMark("|")] },
    {
      name: "reject-chain",
      comment: "helper for @no-endpoint-services / @no-endpoint-nodeports",
      rules: [rule("reject", rejecting)],
    },
  ];
}

/** A Service's chains: one for each endpoint, then its own, as kube-proxy makes them. */
function serviceChains(s: KubeService): NftChainText[] {
  const out: NftChainText[] = [];
  const targets: string[] = [];
  for (const { ip, port } of s.endpoints) {
    const name = endpointChainName(s, ip, port);
    targets.push(name);
    out.push({
      name,
      rules: [
        rule(
          `ip saddr ${ip} jump mark-for-masquerade`,
          match("==", payload("ip", "saddr"), ip),
          jump("mark-for-masquerade"),
        ),
        rule(`meta l4proto ${s.protocol} dnat to ${ip}:${port}`, match("==", meta("l4proto"), s.protocol), {
          dnat: { addr: ip, port },
        }),
      ],
    });
  }
  const n = targets.length;
  out.push({
    name: serviceChainName(s),
    rules: [
      rule(
        `ip daddr ${s.clusterIP} ip saddr != ${CLUSTER_CIDR} jump mark-for-masquerade`,
        match("==", payload("ip", "daddr"), s.clusterIP),
        match("!=", payload("ip", "saddr"), prefix(CLUSTER_CIDR)),
        jump("mark-for-masquerade"),
      ),
      rule(`numgen random mod ${n} vmap { ${targets.map((t, i) => `${i} : goto ${t}`).join(", ")} }`, {
        vmap: {
          key: { numgen: { mode: "random", mod: n, offset: 0 } },
          data: { set: targets.map((t, i) => [i, goTo(t)]) },
        },
      }),
    ],
  });
  return out;
}

const word = (ip: string): number => ip.split(".").reduce((n, part) => n * 256 + Number(part), 0);
const reversed = (ip: string): number => word(ip.split(".").toReversed().join("."));
const PROTOCOL_NUMBER = { tcp: 6, udp: 17 };

/** Elements of a concatenation as nft lists them: by the last field first, each field read as a little-endian number. */
function inListedOrder(services: readonly KubeService[]): KubeService[] {
  const port = (s: KubeService): number => ((s.port & 255) << 8) | (s.port >> 8);
  return services.toSorted(
    (x, y) =>
      port(x) - port(y) ||
      PROTOCOL_NUMBER[x.protocol] - PROTOCOL_NUMBER[y.protocol] ||
      reversed(x.clusterIP) - reversed(y.clusterIP),
  );
}

function sets(family: "ip" | "ip6", services: readonly KubeService[], nodeIp: string): NftSetText[] {
  const address = family === "ip" ? "ipv4_addr" : "ipv6_addr";
  const service = [address, "inet_proto", "inet_service"];
  const map = (name: string, type: readonly string[], comment: string, elements: readonly Printed[]): NftSetText => ({
    name,
    comment,
    type,
    isVerdictMap: true,
    elements,
  });
  const plain = (ip: string): Printed => ({ text: ip, json: ip });
  const set = (name: string, comment: string, ips: readonly string[]): NftSetText => ({
    name,
    comment,
    type: address,
    isVerdictMap: false,
    elements: ips.map(plain),
  });
  const portals = inListedOrder(services).map((s) => {
    const target = serviceChainName(s);
    return {
      text: `${s.clusterIP} . ${s.protocol} . ${s.port} : goto ${target}`,
      json: [{ concat: [s.clusterIP, s.protocol, s.port] }, goTo(target)],
    };
  });
  const clusterIps = services.map((s) => s.clusterIP).toSorted((x, y) => word(x) - word(y));
  return [
    set("cluster-ips", "Active ClusterIPs", clusterIps),
    ...(family === "ip" ? [set("nodeport-ips", "IPs that accept NodePort traffic", [nodeIp])] : []),
    map("no-endpoint-services", service, "vmap to drop or reject packets to services with no endpoints", []),
    map(
      "no-endpoint-nodeports",
      service.slice(1),
      "vmap to drop or reject packets to service nodeports with no endpoints",
      [],
    ),
    map("firewall-ips", service, "destinations that are subject to LoadBalancerSourceRanges", []),
    map("service-ips", service, "ClusterIP, ExternalIP and LoadBalancer IP traffic", portals),
    map("service-nodeports", service.slice(1), "NodePort traffic", []),
  ];
}

/** The tables `ip kube-proxy` and (without Services) `ip6 kube-proxy` of a node whose primary address is `nodeIp`, as nft lists them. */
export function generateKubeProxyNft(services: readonly KubeService[], nodeIp: string): { text: string; json: string } {
  const table = (family: "ip" | "ip6", handle: number, of: readonly KubeService[]): NftTableText => ({
    family,
    name: "kube-proxy",
    handle,
    comment: "rules for kube-proxy",
    sets: sets(family, of, nodeIp),
    chains: [...standingChains(family), ...of.flatMap(serviceChains)],
  });
  return printNft([table("ip", 1, services), table("ip6", 2, [])]);
}
