/** Checks of what a machine itself does to packets, on recordings with one thing altered. */
import { describe, expect, test } from "vitest";
import type { Check } from "../check.ts";
import { doctor } from "../doctor.ts";
import { CHECKS } from "../registry.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { heads, lines, ruleFirst, without, withRows } from "../testing/network-edits.ts";
import type { Findings, Finding } from "../types.ts";

const FLANNEL = "flannel-vxlan-iptables";
const DUAL = "flannel-vxlan-dual-iptables";
const BGP = "calico-bgp-iptables--policy-blocks";
const CALICO_VXLAN = "calico-vxlan-policies-iptables";
const SILENT = "calico-bgp-iptables--pod-gateway-silent";

const IDS = new Set([
  "forwarding-off",
  "forward-dropped",
  "one-way-policy",
  "reverse-path-filtered",
  "bridge-netfilter-off",
  "hairpin-off",
  "pod-route-missing",
  "pod-gateway-silent",
  "rule-shadows",
  "neighbour-table-overflow",
  "vxlan-checksum-offload",
  "mesh-broken",
  "mark-survives-tunnel",
  "mtu-too-large",
]);
const checks: Check[] = CHECKS.filter((check) => check.ids.some((id) => IDS.has(id)));
const examine = (name: string, edits: Record<string, Edit> = {}): Findings => doctor(altered(name, edits), { checks });
const find = (name: string, edits: Record<string, Edit> = {}): Finding[] => examine(name, edits).findings;

const sysctl =
  (pattern: RegExp, value: number): Edit =>
  (text) =>
    text.replace(pattern, `$1 = ${value}`);

describe.skipIf(!hasRecording(FLANNEL))("a node of flannel", () => {
  test("is healthy as it was recorded", () => {
    expect(find(FLANNEL)).toEqual([]);
    expect(find(DUAL)).toEqual([]);
  });

  test("ip_forward off as a whole is one finding; off on a device that carries nothing is no harm", () => {
    const all = find(FLANNEL, {
      "nodes/n2/host/sysctl.txt": sysctl(/(net\.ipv4\.ip_forward|net\.ipv4\.conf\.\S+\.forwarding) = 1/g, 0),
    });
    expect(heads(all)).toEqual(["error forwarding-off n2/host"]);
    expect(all[0]?.remedy[0]).toBe("sysctl -w net.ipv4.ip_forward=1");
    expect(all[0]?.affects.some(({ from }) => from.startsWith("n2/pod/"))).toBe(true);
    const idle = find(FLANNEL, {
      "nodes/n2/host/addr.json": withRows({
        ifindex: 99,
        ifname: "mgmt0",
        flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        mtu: 1500,
        qdisc: "noqueue",
        operstate: "UP",
        group: "default",
        link_type: "ether",
        address: "02:00:00:00:00:01",
        addr_info: [],
      }),
      "nodes/n2/host/sysctl.txt": (text) => `${text}net.ipv4.conf.mgmt0.forwarding = 0\n`,
    });
    expect(heads(idle)).toEqual(["info forwarding-off n2/host"]);
  });

  test("IPv6 forwarding off hurts IPv6 alone, and says nothing in a cluster without IPv6", () => {
    const found = find(DUAL, { "nodes/n2/host/sysctl.txt": sysctl(/(net\.ipv6\.conf\.all\.forwarding) = 1/, 0) });
    expect(heads(found)).toEqual(["error forwarding-off n2/host"]);
    expect(found[0]?.affects.every(({ address }) => address.includes(":"))).toBe(true);
  });

  test("the policy DROP of FORWARD, where nothing takes the pods' packets before", () => {
    const found = find(FLANNEL, {
      "nodes/n2/host/iptables-save.txt": (text) =>
        text.replace(/(\*filter[\s\S]*?):FORWARD ACCEPT/, "$1:FORWARD DROP").replaceAll(/^.*-A FLANNEL-FWD.*\n/gm, ""),
    });
    expect(heads(found)).toEqual(["error forward-dropped n2/host"]);
    expect(found[0]?.summary).toContain("the policy of FORWARD is drop");
    expect(found[0]?.remedy).toContain("iptables -P FORWARD ACCEPT");
  });

  test("a rule that drops answers alone is a policy in one direction; one that keeps hosts outside out is nobody's fault", () => {
    const oneWay = find(FLANNEL, {
      "nodes/n2/host/iptables-save.txt": ruleFirst(
        "filter",
        "-A FORWARD -s 10.244.1.0/24 -p tcp -m tcp --sport 8080 -j DROP",
      ),
    });
    expect(heads(oneWay)).toEqual(["error one-way-policy n2/host"]);
    expect(oneWay[0]?.remedy).toContain(
      "iptables -t filter -I FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    );
    expect(oneWay[0]?.remedy.at(-1)).toBe("iptables -D FORWARD -s 10.244.1.0/24 -p tcp -m tcp --sport 8080 -j DROP");
    const outside = find(FLANNEL, {
      "nodes/n1/host/iptables-save.txt": ruleFirst("filter", "-A FORWARD -s 203.0.113.0/24 -j DROP"),
    });
    expect(outside.map(({ id }) => id)).not.toContain("forward-dropped");
  });

  test("a pod that gets its own packets back, because nothing masquerades them", () => {
    const found = find(FLANNEL, {
      "nodes/n1/host/iptables-save.txt": lines((line) => !/-A KUBE-SEP-\S+ -s .* -j KUBE-MARK-MASQ/.test(line)),
    });
    expect(heads(found)).toEqual(["error hairpin-off n1/host"]);
    expect(found[0]?.affects.every(({ from }) => from.startsWith("n1/pod/"))).toBe(true);
  });

  test("br_netfilter that is not loaded", () => {
    const found = find(FLANNEL, { "nodes/n1/host/sysctl.txt": lines((line) => !line.startsWith("net.bridge.")) });
    expect(heads(found)).toEqual(["error bridge-netfilter-off n1/host"]);
    expect(found[0]?.evidence[0]?.text).toContain("br_netfilter is not loaded");
  });

  test("a policy rule whose table leads pods' packets nowhere", () => {
    const found = find(FLANNEL, {
      "nodes/n1/host/rule4.json": withRows({
        priority: 50,
        src: "10.244.0.0",
        srclen: 24,
        dst: "10.244.1.0",
        dstlen: 24,
        table: "77",
      }),
      "nodes/n1/host/route4.json": withRows({
        type: "unreachable",
        dst: "default",
        table: "77",
        protocol: "boot",
        scope: "global",
        flags: [],
      }),
    });
    expect(heads(found)).toEqual(["error rule-shadows n1/host"]);
    expect(found[0]?.remedy).toContain("ip rule del priority 50");
    expect(found[0]?.affects.some(({ from }) => from.startsWith("n1/pod/"))).toBe(true);
  });

  test("a neighbour table near its limits, by the settings of the machine", () => {
    const limits =
      (second: number): Edit =>
      (text) =>
        `${text}net.ipv4.neigh.default.gc_thresh2 = ${second}\nnet.ipv4.neigh.default.gc_thresh3 = ${2 * second}\n`;
    expect(heads(find(FLANNEL, { "nodes/n1/host/sysctl.txt": limits(4) }))).toEqual([
      "warning neighbour-table-overflow n1/host",
    ]);
    expect(find(FLANNEL, { "nodes/n1/host/sysctl.txt": limits(512) })).toEqual([]);
    const many = Array.from({ length: 600 }, (_, i) => ({
      dst: `10.9.${i >> 8}.${i & 255}`,
      dev: "eth0",
      lladdr: "02:00:00:00:00:01",
      state: ["STALE"],
    }));
    const unsure = examine(FLANNEL, { "nodes/n1/host/neigh.json": withRows(...many) });
    expect(unsure.findings).toEqual([]);
    expect(unsure.unknown).toContainEqual(expect.objectContaining({ id: "neighbour-table-overflow", at: "n1/host" }));
  });

  test("wrong checksums at a peer of a device that leaves them to the hardware", () => {
    const bad: Edit = (text) => text.replace(/UdpInCsumErrors +\d+/, "UdpInCsumErrors                 500");
    const unsure = examine(FLANNEL, { "nodes/n2/host/stats.txt": bad });
    expect(unsure.findings).toEqual([]);
    expect(unsure.unknown).toContainEqual(expect.objectContaining({ id: "vxlan-checksum-offload" }));
    const found = find(FLANNEL, {
      "nodes/n2/host/stats.txt": bad,
      "nodes/n1/host/ethtool.json": JSON.stringify([
        { ifname: "flannel.1", "tx-checksum-ip-generic": { active: true, fixed: false, requested: true } },
      ]),
    });
    expect(heads(found)).toEqual(["warning vxlan-checksum-offload n1/host"]);
    expect(found[0]?.remedy).toEqual(["ethtool -K flannel.1 tx-checksum-ip-generic off"]);
  });

  test("a mesh in which one node is cut off", () => {
    const listening: Edit = (text) => `${text}tcp LISTEN 0 8 0.0.0.0:6783 0.0.0.0:* ino:1 sk:1 cgroup:/ <->\n`;
    const everyone = Object.fromEntries(
      ["n1", "n2", "n3"].map((node) => [`nodes/${node}/host/sockets.txt`, listening]),
    );
    expect(find(FLANNEL, everyone)).toEqual([]);
    const found = find(FLANNEL, {
      ...everyone,
      "nodes/n2/host/iptables-save.txt": (text) => {
        const first = ruleFirst("filter", "-A INPUT -p tcp -m tcp --dport 6783 -j DROP") as (text: string) => string;
        const second = ruleFirst("filter", "-A INPUT -p tcp -m tcp --sport 6783 -j DROP") as (text: string) => string;
        return second(first(text));
      },
    });
    expect(heads(found)).toEqual(["error mesh-broken n2/host"]);
    expect(found[0]?.summary).toContain("between n2 and n1, n3");
  });

  test("a mark that survives encapsulation is harmless while the carrier keeps its address, and no error for what it does not lose", () => {
    const unmarked = lines((line) => !/-A KUBE-POSTROUTING -j MARK/.test(line));
    expect(heads(find(FLANNEL, { "nodes/n1/host/iptables-save.txt": unmarked }))).toEqual([
      "info mark-survives-tunnel n1/host",
    ]);
    const old = find(FLANNEL, {
      "nodes/n1/host/iptables-save.txt": unmarked,
      "cluster/nodes.json": (text) => text.replaceAll(/"kernelVersion": "[^"]*"/g, '"kernelVersion": "5.4.0"'),
    });
    expect(heads(old)).toEqual(["warning mark-survives-tunnel n1/host"]);
    expect(old[0]?.summary).toContain("wrong checksum");
  });
});

describe.skipIf(!hasRecording(BGP))("a node of Calico", () => {
  test("is healthy as it was recorded", () => {
    expect(find(BGP)).toEqual([]);
    expect(find(CALICO_VXLAN)).toEqual([]);
  });

  test("a pod without a route: the reverse path filter that drops what it sends is a symptom", () => {
    const found = find(BGP, { "nodes/n1/host/route4.json": without((row) => row["dst"] === "10.244.40.130") });
    expect(heads(found)).toEqual(["error pod-route-missing n1/host"]);
    expect(found[0]?.evidence[0]?.text).toContain("blackhole 10.244.40.128/26");
    expect(found[0]?.symptoms.map(({ id }) => id)).toEqual(["reverse-path-filtered"]);
    expect(found[0]?.affects.some(({ from }) => from.startsWith("n1/pod/"))).toBe(true);
  });

  test("pods that forwarding off on their devices leaves without a gateway", () => {
    const found = find(CALICO_VXLAN, {
      "nodes/n1/host/sysctl.txt": sysctl(/(net\.ipv4\.conf\.cali\w+\.forwarding) = 1/g, 0),
    });
    expect(heads(found)).toEqual(["error forwarding-off n1/host"]);
  });

  test("proxy ARP off hurts the pods and whoever waits for their answers", () => {
    const silent = find(SILENT);
    expect(heads(silent)).toEqual(["error pod-gateway-silent n1/host"]);
    expect(silent[0]?.evidence[0]?.text).toMatch(/^net\.ipv4\.conf\.cali\w+\.proxy_arp = 0$/);
    expect(silent[0]?.affects.some(({ from, to }) => from.startsWith("n2/") && to.startsWith("pod:"))).toBe(true);
  });
});
