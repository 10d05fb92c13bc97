import { describe, expect, test } from "vitest";
import { IntentError } from "../network.ts";
import { kubeProxyConfig, localhostNodePorts } from "./config.ts";
import { parseGoDuration } from "../go-duration.ts";
import { intendSysctls } from "./sysctls.ts";
import { node, testSite, type Recorded } from "./testing/site.ts";

const read = (recorded: Recorded, nodes = [node("n1")]) => {
  const site = testSite({ nodes }, recorded);
  return kubeProxyConfig(site, site.machines[0]);
};

const yaml = (text: string, command?: string) =>
  read({
    files: { "kube-proxy.yaml": text },
    ...(command === undefined ? {} : { commands: { "kube-proxy": command } }),
  });

describe("where settings come from", () => {
  test("nothing recorded: it does not run there", () => expect(read({})).toBeNull());
  test("--cleanup: it ran and went", () =>
    expect(read({ commands: { "kube-proxy": "kube-proxy --cleanup" } })).toBeNull());

  test("with --config the file counts, of the flags only --hostname-override", () => {
    const config = yaml(
      "mode: ipvs\nhostnameOverride: n9",
      "kube-proxy --config=/etc/kp.yaml --proxy-mode=nftables --hostname-override N1 --v=2",
    );
    expect(config).toMatchObject({ mode: "ipvs", nodeName: "n1" });
  });

  test("without it the flags do", () => {
    const flags =
      "kube-proxy --proxy-mode nftables --cluster-cidr=10.0.0.0/8,fd00::/8 --masquerade-all --nodeport-addresses=10.0.0.0/8,fd00::/8 " +
      "--conntrack-tcp-be-liberal --feature-gates=A=true,B=false --conntrack-tcp-timeout-established 1h30m";
    expect(read({ commands: { "kube-proxy": flags } })).toMatchObject({
      mode: "nftables",
      masqueradeAll: true,
      localTraffic: { 4: { by: "cidr", cidr: "10.0.0.0/8" }, 6: { by: "cidr", cidr: "fd00::/8" } },
      nodePortAddresses: { 4: { cidrs: ["10.0.0.0/8"], all: false }, 6: { cidrs: ["fd00::/8"], all: false } },
      conntrack: { tcpBeLiberal: true, tcpEstablishedTimeout: 5400 },
      featureGates: { A: true, B: false },
    });
  });

  test.each([
    ["mode: userspace", /mode cannot be "userspace"/],
    ["iptables: {masqueradeBit: x}", /iptables.masqueradeBit cannot be "x"/],
    ["conntrack: {tcpEstablishedTimeout: 3 days}", /tcpEstablishedTimeout cannot be "3 days"/],
    ["- 1", /a KubeProxyConfiguration was expected/],
    ["mode: [", /kube-proxy.yaml/],
  ])("%s makes no sense", (text, message) => {
    expect(() => yaml(text)).toThrow(IntentError);
    expect(() => yaml(text)).toThrow(message);
  });

  test("a file that was not recorded", () =>
    expect(() => read({ commands: { "kube-proxy": "kube-proxy --config /etc/x.yaml" } })).toThrow(/\/etc\/x.yaml/));
});

test("defaults of v1.34", () => {
  expect(yaml("{}")).toMatchObject({
    mode: "iptables",
    nodeName: "n1",
    nodeIps: { primary: 4, ips: { 4: "172.30.0.11", 6: "::1" } },
    localTraffic: { 4: null, 6: null },
    nodePortAddresses: { 4: { cidrs: ["0.0.0.0/0"], all: true, loopback4: true }, 6: { cidrs: ["::/0"], all: true } },
    masqueradeAll: false,
    masqueradeBit: 14,
    localhostNodePorts: true,
    conntrack: { maxPerCore: 32768, min: 131072, tcpEstablishedTimeout: 86400, tcpCloseWaitTimeout: 3600 },
    ipvs: { scheduler: "rr", strictARP: false, excludeCIDRs: [] },
  });
});

test("node ports: primary in nftables mode, by prefix, and whether 127.0.0.1 answers", () => {
  const of = (text: string) => {
    const config = yaml(text);
    return [config?.nodePortAddresses[4].cidrs, config === null ? null : localhostNodePorts(config)];
  };
  expect(of("mode: nftables")).toEqual([["172.30.0.11/32"], false]);
  expect(of("nodePortAddresses: [primary]")).toEqual([["172.30.0.11/32"], false]);
  expect(of("nodePortAddresses: [172.30.0.0/16, 127.0.0.0/8]")).toEqual([["172.30.0.0/16", "127.0.0.0/8"], true]);
  expect(of("nodePortAddresses: [fd00::/8]")).toEqual([["0.0.0.0/0"], true]);
  expect(of("iptables: {localhostNodePorts: false}")).toEqual([["0.0.0.0/0"], false]);
});

test("what tells a pod's packets", () => {
  const of = (text: string) => yaml(text)?.localTraffic[4];
  expect(of("detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}")).toEqual({
    by: "bridge",
    name: "cni0",
  });
  expect(of("detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: cali}")).toEqual({
    by: "prefix",
    prefix: "cali",
  });
  const withPods = { ...node("n1"), spec: { podCIDRs: ["10.244.7.0/24"] } };
  expect(read({ files: { "kube-proxy.yaml": "detectLocalMode: NodeCIDR" } }, [withPods])?.localTraffic[4]).toEqual({
    by: "cidr",
    cidr: "10.244.7.0/24",
  });
});

test.each([
  ["24h0m0s", 86400],
  ["1.5h", 5400],
  ["250ms", 0.25],
  ["0", 0],
  ["-2s", -2],
  ["3 days", null],
  ["5", null],
])("duration %s", (text, seconds) => expect(parseGoDuration(text)).toBe(seconds));

test("kernel settings", () => {
  const of = (text: string, capacity: object = {}): string[] => {
    const own = node("n1") as { status: object };
    const site = testSite(
      { nodes: [{ ...own, status: { ...own.status, capacity } }] },
      { files: { "kube-proxy.yaml": text } },
    );
    const config = kubeProxyConfig(site, site.machines[0]);
    const claims = config === null ? [] : intendSysctls(site.machines[0], config);
    return claims.flatMap((claim) => (claim.kind === "sysctl" ? [`${claim.state.key}=${claim.state.value}`] : []));
  };
  const conntrack = "net.netfilter.nf_conntrack_";
  expect(of("{}", { cpu: "8" })).toEqual([
    `${conntrack}max=262144`,
    `${conntrack}tcp_timeout_established=86400`,
    `${conntrack}tcp_timeout_close_wait=3600`,
    "net.ipv4.conf.all.route_localnet=1",
  ]);
  expect(
    of(
      "mode: ipvs\nconntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}\nipvs: {strictARP: true}",
    ),
  ).toEqual([
    "net.ipv4.vs.conntrack=1",
    "net.ipv4.vs.expire_nodest_conn=1",
    "net.ipv4.vs.expire_quiescent_template=1",
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.arp_ignore=1",
    "net.ipv4.conf.all.arp_announce=2",
  ]);
});
