/** Docker's rules as moby's own documentation of them has them (integration/network/bridge/iptablesdoc), and as iptables takes them. */
import { describe, expect, test } from "vitest";
import { saveText } from "../cni/testing/claims.ts";
import { inside, whyNot, withNamespaces } from "../cni/testing/namespaces.ts";
import { parseDocker } from "./description.ts";
import { dockerClaims } from "./index.ts";

const WEB = {
  name: "web",
  address: "172.17.0.2",
  hostDevice: "veth1234567",
  ports: [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 53, hostPort: 5353, protocol: "udp", hostIP: "127.0.0.1" },
  ],
};

const rulesOf = (conf: object): string[] =>
  saveText(dockerClaims("n1/host", parseDocker(JSON.stringify({ containers: [WEB], ...conf }), "test")))
    .split("\n")
    .filter((line) => /^(?:\*|-A|:.* DROP)/.test(line));

const NAT_PROXY = [
  "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
  "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
  "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
];
const NAT_PORTS = [
  "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
  "-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.2:53",
];
const OWN = [
  "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
  "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p udp -m udp --dport 53 -j MASQUERADE",
];
const RAW = [
  "*raw",
  "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP",
  "-A PREROUTING -d 127.0.0.1/32 ! -i lo -p udp -m udp --dport 5353 -j DROP",
];

test("28, with docker-proxy", () => {
  expect(rulesOf({})).toEqual([
    "*filter",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -j DOCKER-FORWARD",
    "-A DOCKER-FORWARD -j DOCKER-CT",
    "-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1",
    "-A DOCKER-FORWARD -j DOCKER-BRIDGE",
    "-A DOCKER-FORWARD -i docker0 -j ACCEPT",
    "-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
    "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP",
    "-A DOCKER-BRIDGE -o docker0 -j DOCKER",
    "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 53 -j ACCEPT",
    "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
    "-A DOCKER ! -i docker0 -o docker0 -j DROP",
    "*nat",
    ...NAT_PROXY,
    "-A DOCKER -i docker0 -j RETURN",
    ...NAT_PORTS,
    ...RAW,
  ]);
});

test("28, without docker-proxy: the rules do what it did", () => {
  const rules = rulesOf({ userlandProxy: false, icc: false });
  const nat = rules.slice(rules.indexOf("*nat"), rules.indexOf("*raw"));
  expect(nat).toEqual([
    "*nat",
    "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER",
    "-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE",
    "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    ...OWN,
    ...NAT_PORTS.map((rule) => rule.replace("! -i docker0 ", "")),
  ]);
  expect(rules).toContain("-A DOCKER-FORWARD -i docker0 -o docker0 -j DROP");
  expect(rules).toContain("-A DOCKER-FORWARD -i docker0 ! -o docker0 -j ACCEPT");
});

test("20.10: all in FORWARD, whose policy is DROP when Docker turned forwarding on", () => {
  expect(rulesOf({ generation: "20.10", forwardingByDocker: true })).toEqual([
    "*filter",
    ":FORWARD DROP [0:0]",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
    "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -o docker0 -j DOCKER",
    "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
    "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
    "-A DOCKER-USER -j RETURN",
    "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
    "-A DOCKER-ISOLATION-STAGE-1 -j RETURN",
    "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP",
    "-A DOCKER-ISOLATION-STAGE-2 -j RETURN",
    "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
    "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 53 -j ACCEPT",
    "*nat",
    ...NAT_PROXY,
    ...OWN,
    "-A DOCKER -i docker0 -j RETURN",
    ...NAT_PORTS,
  ]);
});

test("29: DOCKER-INTERNAL in place of the stages, and no way around DNAT", () => {
  const rules = rulesOf({ generation: "29" });
  expect(rules).toContain("-A DOCKER-FORWARD -j DOCKER-INTERNAL");
  expect(rules.filter((rule) => /ISOLATION|RETURN/.test(rule))).toEqual([]);
});

test("devices: hairpin mode and 127.0.0.1 where there is no proxy", () => {
  const claims = (userlandProxy: boolean) =>
    dockerClaims(
      "n1/host",
      parseDocker(JSON.stringify({ userlandProxy, containers: [WEB] }), "test"),
      "02:42:00:00:00:01",
    );
  expect(claims(false)).toContainEqual(
    expect.objectContaining({
      kind: "link",
      state: { name: "veth1234567", type: "veth", mtu: 1500, up: true, master: "docker0", hairpin: true },
    }),
  );
  const keys = (proxy: boolean) => claims(proxy).flatMap((claim) => (claim.kind === "sysctl" ? [claim.state.key] : []));
  expect(keys(true)).toEqual(["net.ipv4.ip_forward"]);
  expect(keys(false)).toEqual(["net.ipv4.ip_forward", "net.ipv4.conf.docker0.route_localnet"]);
  expect(claims(true)).toContainEqual(
    expect.objectContaining({ state: { dev: "docker0", address: "172.17.0.1/16", scope: "global" } }),
  );
});

describe("iptables-restore takes", () => {
  const why = whyNot(["ip", "iptables-restore"]);
  const cases = ["20.10", "28", "29"].flatMap((generation) =>
    [true, false].map((userlandProxy) => ({ generation, userlandProxy })),
  );
  test.for(cases)("$generation, docker-proxy $userlandProxy", async (conf, context) => {
    if (why !== null) {
      console.warn(`skipped: ${why}`);
      context.skip(why);
    }
    const docker = parseDocker(JSON.stringify({ ...conf, containers: [WEB] }), "test");
    await withNamespaces(1, ([name = ""]) =>
      inside(name, "iptables-restore", ["--test"], saveText(dockerClaims("n1/host", docker))),
    );
  });
});

test.each([
  ['{"generation":"17"}', /"generation" should be one of 20\.10, 28, 29/],
  ['{"containers":[{"name":"a","address":"x"}]}', /container a: should be an IPv4 address, not x/],
  [
    '{"containers":[{"address":"1.2.3.4","ports":[{"hostPort":0,"containerPort":1}]}]}',
    /"hostPort" should be a port|"containerPort"/,
  ],
])("refuses %s", (text, message) => {
  expect(() => parseDocker(text, "docker.json")).toThrow(message);
});
