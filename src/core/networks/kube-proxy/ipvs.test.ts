import { describe, expect, test } from "vitest";
import { formatIp } from "../../model/address.ts";
import type { IpvsService } from "../../model/ipvs.ts";
import type { Claim } from "../claim.ts";
import { kubeProxyConfig } from "./config.ts";
import { kubeProxy } from "./index.ts";
import { intendIpvs, type IpvsIntent } from "./ipvs.ts";
import { cannotRun, inNamespace } from "./testing/namespace.ts";
import { shop } from "./testing/shop.ts";
import { restoreText, rulesOf, siteWith } from "./testing/site.ts";

const CONFIG = 'mode: ipvs\nclusterCIDR: "10.244.0.0/16,fd00:244::/56"\n';

function intend(more = "", local?: string[]): IpvsIntent {
  const site = siteWith(CONFIG + more, shop);
  const [machine] = site.machines;
  const config = kubeProxyConfig(site, machine);
  if (config === null) throw new Error("kube-proxy should run there");
  return intendIpvs(site, machine, config, local);
}

function setsOf(claims: readonly Claim[]): Map<string, { type: string; family: string | null; elements: string[] }> {
  return new Map(
    claims.flatMap((claim) =>
      claim.kind === "set" && claim.state.backend === "ipset" ? [[claim.state.name, claim.state]] : [],
    ),
  );
}

/** `tcp 10.96.0.1:80 rr -> 10.244.0.2:8080`, as `ipvsadm -S -n` has it. */
function shown(services: readonly IpvsService[], port: number): string[] {
  const names: Record<number, string> = { 6: "tcp", 17: "udp", 132: "sctp" };
  return services
    .filter((each) => each.port === port)
    .map((each) => {
      const reals = each.reals.map((real) => `${formatIp(real.ip)}:${real.port}/${real.method}/${real.weight}`);
      const how = [each.scheduler, ...(each.persistent === null ? [] : [`-p ${each.persistent}`]), ...each.flags].join(
        " ",
      );
      return `${names[each.proto ?? 0]} ${each.ip === null ? "" : formatIp(each.ip)} ${how} -> ${reals.join(" ")}`;
    });
}

describe("kube-ipvs0", () => {
  const { claims } = intend();
  test("a dummy that is never brought up", () =>
    expect(claims[0]).toMatchObject({ kind: "link", state: { name: "kube-ipvs0", type: "dummy", up: false } }));

  test("has the address of every Service, of both families, whether it has endpoints or not", () => {
    const addresses = claims.flatMap((claim) => (claim.kind === "address" ? [claim.state.address] : []));
    const outside4 = [4, 5, 6, 7].map((n) => `198.51.100.${n}/32`);
    const outside6 = [5, 6, 7].map((n) => `2001:db8::${n}/128`);
    const cluster = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => [`10.96.0.${n}/32`, `fd00:96::${n}/128`]);
    expect(addresses.toSorted()).toEqual([...outside4, ...outside6, ...cluster].toSorted());
  });

  test("but not one that the machine has anyway", () => {
    const own = intend("", ["172.30.0.11/24", "198.51.100.6/32"]).claims;
    expect(own.some((claim) => claim.kind === "address" && claim.state.address === "198.51.100.6/32")).toBe(false);
  });
});

test("sets", () => {
  const sets = setsOf(intend().claims);
  const elements = (name: string): string[] | undefined => sets.get(name)?.elements.toSorted();
  expect(sets.size).toBe(34);
  expect(elements("KUBE-CLUSTER-IP")).toEqual([
    "10.96.0.1,tcp:80",
    "10.96.0.2,tcp:80",
    "10.96.0.3,tcp:80",
    "10.96.0.4,tcp:80",
    "10.96.0.5,udp:53",
    "10.96.0.6,tcp:80",
    "10.96.0.7,tcp:443",
    "10.96.0.8,sctp:38412",
  ]);
  expect(elements("KUBE-LOOP-BACK")).toEqual([
    "10.244.0.2,tcp:8080,10.244.0.2",
    "10.244.0.5,tcp:8080,10.244.0.5",
    "10.244.0.6,sctp:38412,10.244.0.6",
  ]);
  expect(elements("KUBE-EXTERNAL-IP")).toEqual(["198.51.100.4,tcp:80", "198.51.100.5,udp:53"]);
  expect(elements("KUBE-LOAD-BALANCER")).toEqual(["198.51.100.6,tcp:80", "198.51.100.7,tcp:443"]);
  expect(elements("KUBE-LOAD-BALANCER-LOCAL")).toEqual(["198.51.100.6,tcp:80"]);
  expect(elements("KUBE-LOAD-BALANCER-FW")).toEqual(["198.51.100.7,tcp:443"]);
  expect(elements("KUBE-LOAD-BALANCER-SOURCE-IP")).toEqual(["198.51.100.7,tcp:443,198.51.100.7"]);
  expect(elements("KUBE-LOAD-BALANCER-SOURCE-CIDR")).toEqual([
    "198.51.100.7,tcp:443,172.30.0.0/16",
    "198.51.100.7,tcp:443,203.0.113.0/28",
    "198.51.100.7,tcp:443,203.0.113.77",
  ]);
  expect(elements("KUBE-NODE-PORT-TCP")).toEqual(["30004", "30006", "30007"]);
  expect(elements("KUBE-NODE-PORT-LOCAL-TCP")).toEqual(["30006"]);
  expect(elements("KUBE-NODE-PORT-UDP")).toEqual(["30005"]);
  expect(elements("KUBE-NODE-PORT-SCTP-HASH")).toEqual(["172.30.0.11,sctp:30008"]);
  expect(elements("KUBE-HEALTH-CHECK-NODE-PORT")).toEqual(["32006"]);
  expect(elements("KUBE-6-LOAD-BALANCER-SOURCE-CID")).toEqual(["2001:db8::7,tcp:443,2001:db8:1::/48"]);
  // Without an IPv6 address of its own but link-local ones the node answers no node port in IPv6.
  expect(elements("KUBE-6-NODE-PORT-TCP")).toEqual([]);
  expect(sets.get("KUBE-6-IPVS-IPS")).toMatchObject({ type: "hash:ip", family: "inet6" });
});

test("virtual servers", () => {
  const { services } = intend("", ["172.30.0.11/24", "10.244.0.1/24", "127.0.0.1/8", "fe80::1/64"]);
  // By name: lb, local, none, sticky, web.
  expect(shown(services, 80).filter((line) => !line.includes(" fd00") && !line.includes(" 2001"))).toEqual([
    "tcp 10.96.0.6 rr -> 10.244.1.5:8080/masq/1",
    "tcp 198.51.100.6 rr -> 10.244.0.5:8080/masq/1",
    // Policy Local without an endpoint here: all others serve, of which such a port keeps none.
    "tcp 10.96.0.3 rr -> ",
    "tcp 10.96.0.4 rr -> ",
    "tcp 198.51.100.4 rr -> ",
    "tcp 10.96.0.2 rr -p 600 -> 10.244.0.2:8080/masq/1 10.244.1.2:8080/masq/1",
    "tcp 10.96.0.1 rr -> 10.244.0.2:8080/masq/1 10.244.1.2:8080/masq/1",
  ]);
  expect(shown(services, 30005)).toEqual([
    "udp 172.30.0.11 rr -> 10.244.1.4:53/masq/1",
    "udp 10.244.0.1 rr -> 10.244.1.4:53/masq/1",
  ]);
  expect(shown(intend("ipvs: {scheduler: mh}").services, 30005)).toEqual([
    "udp 172.30.0.11 mh -b mh-port -> 10.244.1.4:53/masq/1",
  ]);
});

describe("rules", () => {
  const { claims } = intend();
  const match = (set: string, directions: string): string => `-m set --match-set ${set} ${directions}`;
  const said = (text: string): string => `-m comment --comment "${text}"`;

  test("nat", () => {
    const clusterIp = said("Kubernetes service cluster ip + port for masquerade purpose");
    const external = said("Kubernetes service external ip + port for masquerade and filter purpose");
    expect(rulesOf(claims, "nat", "KUBE-SERVICES")).toEqual([
      "-s 127.0.0.0/8 -j RETURN",
      `${said("Kubernetes service lb portal")} ${match("KUBE-LOAD-BALANCER", "dst,dst")} -j KUBE-LOAD-BALANCER`,
      `! -s 10.244.0.0/16 ${clusterIp} ${match("KUBE-CLUSTER-IP", "dst,dst")} -j KUBE-MARK-MASQ`,
      `${external} ${match("KUBE-EXTERNAL-IP", "dst,dst")} -j KUBE-MARK-MASQ`,
      `${external} ${match("KUBE-EXTERNAL-IP", "dst,dst")} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT`,
      `${external} ${match("KUBE-EXTERNAL-IP", "dst,dst")} -m addrtype --dst-type LOCAL -j ACCEPT`,
      "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
      `${match("KUBE-CLUSTER-IP", "dst,dst")} -j ACCEPT`,
      `${match("KUBE-LOAD-BALANCER", "dst,dst")} -j ACCEPT`,
    ]);
    expect(rulesOf(claims, "nat", "KUBE-POSTROUTING")?.[0]).toBe(
      `${said("Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose")} ${match("KUBE-LOOP-BACK", "dst,dst,src")} -j MASQUERADE`,
    );
    expect(rulesOf(claims, "nat", "KUBE-NODE-PORT")).toEqual([
      `-p tcp ${said("Kubernetes nodeport TCP port with externalTrafficPolicy=local")} ${match("KUBE-NODE-PORT-LOCAL-TCP", "dst")} -j RETURN`,
      `-p tcp ${said("Kubernetes nodeport TCP port for masquerade purpose")} ${match("KUBE-NODE-PORT-TCP", "dst")} -j KUBE-MARK-MASQ`,
      `-p udp ${said("Kubernetes nodeport UDP port for masquerade purpose")} ${match("KUBE-NODE-PORT-UDP", "dst")} -j KUBE-MARK-MASQ`,
      `-p sctp ${said("Kubernetes nodeport SCTP port for masquerade purpose with type \\'hash ip:port\\'")} ${match("KUBE-NODE-PORT-SCTP-HASH", "dst,dst")} -j KUBE-MARK-MASQ`,
    ]);
  });

  test("nothing tells pods: what the node itself sends is masqueraded", () => {
    const site = siteWith("mode: ipvs", shop);
    const rules = rulesOf(kubeProxy.intend(site, site.machines[0]), "nat", "KUBE-SERVICES") ?? [];
    expect(rules[2]).toMatch(/KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ$/);
  });

  test("filter: who may use a load balancer, and nothing of the node's own by a Service's address", () => {
    expect(rulesOf(claims, "filter", "KUBE-IPVS-FILTER", "ip6")).toEqual([
      ...["LOAD-BALANCER", "CLUSTER-IP", "EXTERNAL-IP", "EXTERNAL-IP-LOCAL"].map(
        (set) => `${match(`KUBE-6-${set}`, "dst,dst")} -j RETURN`,
      ),
      `${match("KUBE-6-HEALTH-CHECK-NODE-PORT", "dst")} -j RETURN`,
      `-m conntrack --ctstate NEW ${match("KUBE-6-IPVS-IPS", "dst")} -j REJECT --reject-with icmp6-port-unreachable`,
    ]);
    expect(rulesOf(claims, "filter", "KUBE-SOURCE-RANGES-FIREWALL")).toHaveLength(3);
    // Of IPv4 a range holds the node.
    expect(rulesOf(claims, "filter", "KUBE-IPVS-OUT-FILTER")).toEqual([]);
    expect(rulesOf(claims, "filter", "KUBE-IPVS-OUT-FILTER", "ip6")).toEqual([
      "-s 2001:db8::7/128 -m ipvs --vproto 6 --vaddr 2001:db8::7 --vport 443 -j DROP",
    ]);
    expect(rulesOf(claims, "filter", "KUBE-FORWARD")).toHaveLength(2);
  });
});

/** Sets as `ipset restore` reads them. */
function setText(claims: readonly Claim[]): string {
  return [...setsOf(claims)]
    .flatMap(([name, { type, family, elements }]) => [
      family === null ? `create ${name} ${type} range 0-65535` : `create ${name} ${type} family ${family}`,
      ...elements.map((element) => `add ${name} ${element}`),
    ])
    .join("\n");
}

const skip = cannotRun("ipset list -n && iptables-restore --version");

test("ipset and iptables take them, and print them as they are", (context) => {
  if (skip !== null) {
    console.warn(skip);
    context.skip(skip);
  }
  const { claims } = intend();
  const saved = inNamespace("ipset restore && ipset save", `${setText(claims)}\n`);
  for (const [name, { elements }] of setsOf(claims)) {
    const lines = saved.split("\n").filter((line) => line.startsWith(`add ${name} `));
    expect(lines.map((line) => line.slice(`add ${name} `.length)).toSorted()).toEqual(elements.toSorted());
  }
  for (const family of ["ip", "ip6"] as const) {
    // The kernel may have no IPVS, without which it knows no such match.
    const text = restoreText(claims, family)
      .split("\n")
      .filter((line) => !line.includes("-m ipvs "))
      .join("\n");
    const program = family === "ip" ? "iptables" : "ip6tables";
    const both = `cat > "$T" && sed '/^----$/,$d' "$T" | ipset restore && sed '1,/^----$/d' "$T" | ${program}-restore && ${program}-save`;
    const out = inNamespace(`T=$(mktemp) && trap 'rm -f "$T"' EXIT && ${both}`, `${setText(claims)}\n----\n${text}`);
    const words = (all: string): string[] =>
      all
        .split("\n")
        .filter((line) => line.startsWith("-A"))
        .map((line) => line.split(" ").toSorted().join(" "))
        .toSorted();
    expect(words(out)).toEqual(words(text));
  }
});
