import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Machine, MachineFile, Site } from "../site.ts";
import { fletcher8, routerIds, type VipDescription } from "./description.ts";
import { effectivePriority, elect, type Contender } from "./election.ts";
import { haproxyConf } from "./haproxy-conf.ts";
import { readHaproxy, serversBehind } from "./haproxy-read.ts";
import { keepalivedConf } from "./keepalived-conf.ts";
import { readKeepalived, type VrrpInstance } from "./keepalived-read.ts";
import { electionFor, vip } from "./index.ts";
import { virtualAddresses } from "./recorded.ts";
import { redirectClaims } from "./redirect.ts";

const ostest: VipDescription = {
  cluster: "ostest",
  vip: "192.0.2.5",
  prefixLen: 24,
  nodes: [1, 2, 3].map((n) => ({ name: `master-${n}`, address: `192.0.2.2${n}`, interface: "eth0" })),
  apiPort: 6443,
  lbPort: 9445,
  statPort: 29445,
  healthPort: 9444,
  unicast: true,
  ingressVip: "192.0.2.6",
};
const v6: VipDescription = {
  ...ostest,
  vip: "fd00::5",
  prefixLen: 64,
  nodes: [1, 2].map((n) => ({ name: `m${n}`, address: `fd00::2${n}`, interface: "eth0" })),
  ingressVip: null,
  unicast: false,
};
const file = (text: string, path = "nodes/master-1/files/etc/keepalived/keepalived.conf"): MachineFile => ({
  text,
  source: { file: path, line: 1 },
});

test("router ids, as runtimecfg computes them", () => {
  expect(fletcher8("")).toBe(0);
  // "a" is 97: 97 % 15 = 7 in both sums.
  expect(fletcher8("a")).toBe(0x77);
  const ids = routerIds("ostest");
  expect(ids.api).not.toBe(ids.ingress);
  for (const name of ["ostest", "a", "kni", "prod-7"])
    for (const id of Object.values(routerIds(name))) expect(id > 0 && id < 256).toBe(true);
});

describe("what is written can be read again", () => {
  test("keepalived.conf", () => {
    const conf = readKeepalived(file(keepalivedConf(ostest, "master-2")));
    expect(conf.problems).toEqual([]);
    expect(conf.instances.map((each) => [each.name, each.priority, each.routerId])).toEqual([
      ["ostest_API", 40, routerIds("ostest").api],
      ["ostest_INGRESS", 20, routerIds("ostest").ingress],
    ]);
    expect(conf.instances[0]).toMatchObject({
      state: "BACKUP",
      interface: "eth0",
      unicastSource: "192.0.2.22",
      unicastPeers: ["192.0.2.21", "192.0.2.23"],
      password: "ostest_a",
      addresses: [{ address: "192.0.2.5", prefixLen: 24 }],
      scripts: [
        { name: "chk_ocp_lb", weight: 20 },
        { name: "chk_ocp_both", weight: 5 },
      ],
    });
    expect(readKeepalived(file(keepalivedConf(v6, "m1"))).instances[0]).toMatchObject({
      unicastPeers: [],
      password: null,
      addresses: [{ address: "fd00::5", prefixLen: 64 }],
    });
  });

  test("haproxy.cfg", () => {
    const conf = readHaproxy(file(haproxyConf(ostest)));
    expect(conf.problems).toEqual([]);
    const main = conf.sections.find((each) => each.name === "main")!;
    expect(main).toMatchObject({ kind: "frontend", mode: "tcp", binds: [{ host: "::", port: 9445, v4v6: true }] });
    expect(serversBehind(conf, main).map((each) => `${each.name} ${each.host} ${each.port} ${each.check}`)).toEqual(
      ostest.nodes.map((node) => `${node.name} ${node.address} 6443 true`),
    );
    expect(conf.sections.find((each) => each.name === "health_check_http_url")?.mode).toBe("http");
    expect(readHaproxy(file(haproxyConf(v6))).sections.at(-1)?.servers[0]?.host).toBe("fd00::21");
  });
});

describe("what is wrong is told with its line", () => {
  test("keepalived.conf", () => {
    const conf = readKeepalived(
      file(`! a comment { with a brace
vrrp_instance A
{
    interface eth0   # the uplink
    virtual_router_id 300
    virtual_ipaddress { 192.0.2.500/24 }
}
vrrp_instance B {
  state MASTER
  interface eth0
  virtual_router_id 51
  track_script { nobody weight -20 }
  virtual_ipaddress { 10.0.0.9 dev eth1 }
}
vrrp_instance C { interface eth0
  virtual_router_id 51 }
`),
    );
    expect(conf.problems.map((each) => each.message.replace(/^.*conf:/, ""))).toEqual([
      "5: virtual_router_id should be 1 to 255, not 300",
      '6: "192.0.2.500/24" is no address that keepalived could hold',
      "12: no vrrp_script is named nobody: keepalived ignores it",
      "15: virtual_router_id 51 is that of B on eth0, too",
    ]);
    expect(conf.instances[0]).toMatchObject({
      name: "B",
      state: "MASTER",
      addresses: [{ prefixLen: 32, dev: "eth1" }],
    });
    expect(() => readKeepalived(file("vrrp_instance A {\n interface eth0\n"))).toThrow(
      /conf:1: this \{ is never closed/,
    );
    expect(() => readKeepalived(file("global_defs {\n}\n}\n"))).toThrow(/conf:3: there is no block/);
  });

  test("haproxy.cfg", () => {
    const conf = readHaproxy(
      file(
        "defaults\n  mode http\nfrontend web\n  bind *:80,:x\n  default_backend gone\nbackend api\n  server a 10.0.0.1\n",
      ),
    );
    expect(conf.problems.map((each) => each.source.line).toSorted()).toEqual([3, 4, 7]);
    expect(conf.sections[0]).toMatchObject({ mode: "http", binds: [{ host: "", port: 80 }] });
  });
});

describe("VRRP's election", () => {
  const instance = readKeepalived(file(keepalivedConf({ ...ostest, unicast: false }, "master-1"))).instances[0]!;
  const node = (n: number, more: Partial<Contender> = {}, own: Partial<VrrpInstance> = {}): Contender => ({
    node: `master-${n}`,
    instance: { ...instance, ...own },
    source: `192.0.2.2${n}`,
    ready: true,
    scripts: new Map(),
    master: false,
    ...more,
  });
  const everywhere = () => true;
  const lbDown = new Map([["chk_ocp_lb", false]]);

  test("checks decide the priority", () => {
    expect(effectivePriority(node(1))).toBe(65);
    expect(effectivePriority(node(1, { scripts: lbDown }))).toBe(45);
    expect(effectivePriority(node(1, { ready: false }))).toBe(0);
    expect(effectivePriority(node(1, {}, { priority: 250 }))).toBe(254);
    const plain = { ...instance.scripts[0]!, weight: 0 };
    expect(effectivePriority(node(1, { scripts: lbDown }, { scripts: [plain] }))).toBe(0);
    expect(effectivePriority(node(1, { scripts: lbDown }, { scripts: [{ ...plain, weight: -30 }] }))).toBe(10);
  });

  test("among equals the master stays; without one nobody can tell", () => {
    expect(elect([node(1, { master: true }), node(2), node(3)], everywhere).holders).toEqual(["master-1"]);
    const open = elect([node(1), node(2), node(3)], everywhere);
    expect([open.holders, open.undecided]).toEqual([[], ["master-1", "master-2", "master-3"]]);
  });

  test("a failing check moves the address; two masters are settled by address", () => {
    expect(
      elect([node(1, { master: true, scripts: lbDown }), node(2), node(3, { scripts: lbDown })], everywhere).holders,
    ).toEqual(["master-2"]);
    expect(elect([node(1, { master: true }), node(2, { master: true })], everywhere).holders).toEqual(["master-2"]);
    expect(
      elect(
        [node(1, { master: true, scripts: lbDown }, { noPreempt: true }), node(2, {}, { noPreempt: true })],
        everywhere,
      ).holders,
    ).toEqual(["master-1"]);
  });

  test("nodes that do not hear each other each hold it: another segment, another password, a peer left out", () => {
    const apart = (a: string, b: string) => (a === "master-3") === (b === "master-3");
    expect(elect([node(1, { master: true }), node(2), node(3)], apart).holders).toEqual(["master-1", "master-3"]);
    expect(elect([node(1), node(2, {}, { password: "other" })], everywhere).holders).toHaveLength(2);
    const peers = (n: number, ...to: number[]) =>
      node(n, { master: n === 1 }, { unicastPeers: to.map((each) => `192.0.2.2${each}`) });
    // The third sends to the others and hears nobody: they give way to it, as its address is the highest.
    expect(elect([peers(1, 2), peers(2, 1), peers(3, 1, 2)], everywhere).holders).toEqual(["master-3"]);
    expect(elect([peers(1, 2), peers(2, 1), peers(3, 9)], everywhere).holders).toEqual(["master-1", "master-3"]);
    expect(elect([node(1, { ready: false }), node(2)], everywhere).standings.map((each) => each.state)).toEqual([
      "FAULT",
      "MASTER",
    ]);
  });
});

test("a site's files: who may hold which address, and the claims", () => {
  const texts = (name: string): Record<string, string> => ({
    "/etc/keepalived/keepalived.conf": keepalivedConf(ostest, name),
    "/etc/haproxy/haproxy.cfg": haproxyConf(ostest),
  });
  const machines = ostest.nodes.map((each): Machine => ({
    name: each.name,
    place: `${each.name}/host`,
    node: {
      namespace: "",
      name: each.name,
      labels: {},
      annotations: {},
      source: { file: "", line: 1 },
      addresses: [{ type: "InternalIP", address: each.address }],
      podCIDRs: [],
    },
    devices: [{ index: 2, name: "eth0", mac: null, mtu: 1500, addresses: [`${each.address}/24`] }],
    sandboxes: [],
    macOf: () => null,
    command: () => null,
    file: (path) => {
      const text = texts(each.name)[path];
      return text === undefined ? null : file(text, `nodes/${each.name}/files${path}`);
    },
    files: () => [],
  }));
  const site = {
    cluster: { pods: [], services: [], endpointSlices: [], nodes: [], raw: new Map(), missing: new Map() },
    machines,
  } as Site;
  const { byAddress, problems } = virtualAddresses(site);
  expect(problems).toEqual([]);
  expect([...byAddress.keys()]).toEqual(["192.0.2.5", "192.0.2.6"]);
  expect(electionFor("192.0.2.5", byAddress.get("192.0.2.5")!).undecided).toHaveLength(3);
  const claims = vip.intend(site, machines[0]!);
  expect(claims.map((claim) => claim.kind)).toEqual(["address", "address", "chain", "chain", "rule", "rule"]);
  expect(claims[0]).toMatchObject({
    at: "master-1/host",
    optional: true,
    state: { dev: "eth0", address: "192.0.2.5/24" },
  });
  expect(claims.at(-1)).toMatchObject({
    state:
      "-d 192.0.2.5/32 -o lo -p tcp -m tcp --dport 6443 -m comment --comment OCP_API_LB_REDIRECT -j REDIRECT --to-ports 9445",
  });
});

const dir = mkdtempSync(join(tmpdir(), "kubewalk-vip-"));
afterAll(() => rmSync(dir, { recursive: true }));
const runs = (...command: string[]): boolean => spawnSync(command[0]!, command.slice(1)).status === 0;
const inOwnNetwork = runs("unshare", "-n", "true");

describe("the programs themselves take what is written", () => {
  test.runIf(runs("haproxy", "-v"))("haproxy -c", () => {
    for (const description of [ostest, v6]) {
      const path = join(dir, "haproxy.cfg");
      writeFileSync(path, haproxyConf(description));
      const check = spawnSync("haproxy", ["-c", "-f", path], { encoding: "utf8" });
      expect(check.status, check.stderr).toBe(0);
    }
  });

  test.runIf(inOwnNetwork && runs("keepalived", "--version"))(
    "keepalived -t, apart from the scripts that are not here",
    () => {
      for (const [description, self] of [
        [ostest, "master-1"],
        [v6, "m2"],
      ] as const) {
        const path = join(dir, "keepalived.conf");
        writeFileSync(path, keepalivedConf(description, self));
        const check = spawnSync(
          "unshare",
          ["-n", "sh", "-c", `ip link add eth0 type veth peer name far; ip link set eth0 up; keepalived -t -f ${path}`],
          {
            encoding: "utf8",
          },
        );
        const told = (check.stdout + check.stderr)
          .split("\n")
          .filter(
            (line) =>
              line !== "" &&
              !/script|Script|Disabling track|truncated|Truncating|does not support authentication/.test(line),
          );
        expect(told).toEqual([]);
      }
    },
  );

  test.runIf(inOwnNetwork && runs("nft", "--version"))("nft lists the redirect as it is claimed", () => {
    for (const address of ["192.0.2.5", "fd00::5"]) {
      const redirect = { vip: address, apiPort: 6443, lbPort: 9445 };
      const [family, to] = address.includes(":") ? ["ip6", `[${address}]`] : ["ip", address];
      const match = `${family} daddr ${address} tcp dport 6443`;
      const ruleset = `table ${family} ocp_nat {
        chain ocp_prerouting {
          type nat hook prerouting priority dstnat; policy accept;
          ${match} dnat to ${to}:9445 comment "OCP_API_LB_REDIRECT"
        }
        chain ocp_output {
          type nat hook output priority -100; policy accept;
          ${match} oifname "lo" redirect to :9445 comment "OCP_API_LB_REDIRECT"
        }
      }`;
      const listed = spawnSync("unshare", ["-n", "sh", "-c", "nft -f - && nft -j list ruleset"], {
        input: ruleset,
        encoding: "utf8",
      });
      expect(listed.status, listed.stderr).toBe(0);
      const rules = (
        JSON.parse(listed.stdout) as { nftables: { rule?: { expr: unknown; comment: string } }[] }
      ).nftables.flatMap((each) =>
        each.rule === undefined ? [] : [{ expr: each.rule.expr, comment: each.rule.comment }],
      );
      const claimed = redirectClaims(redirect, "keepalived", "n1/host").flatMap((claim) =>
        claim.kind === "chain" ? (claim.rules ?? []) : [],
      );
      expect(rules).toEqual(claimed);
    }
  });
});
