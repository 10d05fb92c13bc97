import { describe, expect, test } from "vitest";
import { makeLink, makeNamespace, makeSnapshot } from "../../../test/support/snapshot.ts";
import { parseIp, parsePrefix } from "../model/address.ts";
import type { PolicyRule, Route } from "../model/route.ts";
import { createDirectory } from "../names/directory.ts";
import { showPlaceSchema, showSnapshotSchema } from "../schema/show.ts";
import { conntrackLine, fdbLine, ipvsLine, neighbourLine, routeLine, ruleLine } from "./lines.ts";
import { showPlace } from "./namespace.ts";
import { showSnapshot } from "./snapshot.ts";

const source = { file: "nodes/n1/host/x", line: 1 };
const noPeer = (): null => null;
const ip = (text: string) => parseIp(text)!;

describe("lines read as the commands print them", () => {
  const hop = { gateway: null, dev: null, weight: 1, onlink: false, dead: false, linkdown: false, encap: null };
  const route: Route = {
    dst: parsePrefix("10.244.1.0/24")!,
    type: "unicast",
    table: 254,
    protocol: "boot",
    scope: "global",
    metric: 0,
    tos: 0,
    prefSrc: null,
    mtu: null,
    mtuLock: false,
    from: null,
    nexthops: [{ ...hop, gateway: ip("10.244.1.0"), dev: "flannel.1", onlink: true }],
    nhid: null,
    pref: null,
    source,
  };
  test.each<[string, Partial<Route>]>([
    ["10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink proto boot", {}],
    [
      "default dev eth0 table 100 proto boot metric 7 mtu lock 1400 linkdown",
      {
        dst: parsePrefix("0.0.0.0/0")!,
        nexthops: [{ ...hop, dev: "eth0", linkdown: true }],
        table: 100,
        metric: 7,
        mtu: 1400,
        mtuLock: true,
      },
    ],
    [
      "blackhole 10.244.1.0/24 table local proto bird",
      { type: "blackhole", nexthops: [], table: 255, protocol: "bird" },
    ],
  ])("%s", (text, more) => expect(routeLine({ ...route, ...more })).toBe(text));

  const rule: PolicyRule = {
    priority: 32_766,
    not: false,
    from: null,
    to: null,
    iif: null,
    oif: null,
    fwmark: null,
    fwmask: -1,
    tos: null,
    ipproto: null,
    sport: null,
    dport: null,
    uid: null,
    action: "lookup",
    table: 254,
    goto: null,
    l3mdev: false,
    suppressPrefixLength: null,
    suppressIfgroup: null,
    unknown: [],
    source,
  };
  test.each<[string, Partial<PolicyRule>]>([
    ["32766: from all lookup main", {}],
    [
      "100: not from 10.0.0.0/8 to 10.1.0.0/16 fwmark 0x200/0xf00 iif eth0 ipproto tcp dport 80-81 lookup 100",
      {
        priority: 100,
        not: true,
        from: parsePrefix("10.0.0.0/8")!,
        to: parsePrefix("10.1.0.0/16")!,
        fwmark: 0x200,
        fwmask: 0xf00,
        iif: "eth0",
        ipproto: 6,
        dport: [80, 81],
        table: 100,
      },
    ],
    [
      "5: from all fwmark 0x1 goto 9 sport-mask (not modelled)",
      { priority: 5, fwmark: 1, action: "goto", goto: 9, unknown: ["sport-mask"] },
    ],
    ["6: from all blackhole", { priority: 6, action: "blackhole" }],
  ])("%s", (text, more) => expect(ruleLine({ ...rule, ...more })).toBe(text));

  test("neighbours, forwarding entries, connections, IPVS", () => {
    const neighbour = {
      ip: ip("10.0.0.1"),
      dev: "eth0",
      mac: "02:00:00:00:00:01",
      state: "STALE",
      router: false,
      source,
    };
    expect(neighbourLine(neighbour, false)).toBe("10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 STALE");
    expect(neighbourLine({ ...neighbour, mac: null, state: "" }, true)).toBe("10.0.0.1 dev eth0 proxy");
    const entry = {
      mac: "02:00:00:00:00:01",
      dev: "flannel.1",
      master: null,
      self: true,
      dst: ip("172.30.0.12"),
      port: null,
      vni: null,
      via: null,
      vlan: null,
      state: "permanent",
      source,
    };
    expect(fdbLine(entry)).toBe("02:00:00:00:00:01 dev flannel.1 dst 172.30.0.12 self permanent");
    const tuple = (src: string, dst: string, sport: number, dport: number) => ({
      src: ip(src),
      dst: ip(dst),
      sport,
      dport,
      icmpType: 8,
      icmpCode: 0,
      icmpId: 7,
    });
    const connection = {
      family: 4 as const,
      proto: 6,
      timeout: 100,
      state: "ESTABLISHED",
      orig: tuple("10.0.0.1", "10.96.0.1", 4000, 80),
      reply: tuple("10.244.0.2", "10.0.0.1", 8080, 4000),
      status: ["ASSURED"],
      mark: 0x4000,
      zone: 0,
      zoneOrig: 0,
      zoneReply: 0,
      helper: null,
      secctx: null,
      source,
    };
    expect(conntrackLine(connection)).toBe(
      "tcp ESTABLISHED 10.0.0.1:4000 → 10.96.0.1:80 reply 10.244.0.2:8080 → 10.0.0.1:4000 [ASSURED] mark 0x4000 100 s",
    );
    expect(conntrackLine({ ...connection, proto: 1, state: null, status: [], mark: 0, timeout: null })).toBe(
      "icmp 10.0.0.1 → 10.96.0.1 type 8 code 0 id 7 reply 10.244.0.2 → 10.0.0.1 type 8 code 0 id 7",
    );
    const real = { ip: ip("10.244.0.2"), port: 8080, method: "masq" as const, weight: 1, tunnel: null, source };
    const service = {
      proto: 6,
      ip: ip("fd00::1"),
      port: 80,
      fwmark: null,
      scheduler: "rr",
      persistent: 600,
      flags: [],
      reals: [real],
      source,
    };
    expect(ipvsLine(service, null)).toBe("tcp [fd00::1]:80 rr persistent 600");
    expect(ipvsLine(service, real)).toBe("tcp [fd00::1]:80 → 10.244.0.2:8080 masq weight 1");
  });
});

test("a snapshot in numbers fits its schema and counts what is there", () => {
  const shown = showSnapshot(createDirectory(makeSnapshot()), noPeer);
  expect(showSnapshotSchema.parse(JSON.parse(JSON.stringify(shown)))).toEqual(shown);
  expect(shown.nodes.map((n) => [n.name, n.places])).toEqual([
    ["n1", 4],
    ["n2", 3],
    ["n3", 0],
  ]);
  expect(shown.beside.map((n) => n.name)).toEqual(["outside", "fabric"]);
  expect(shown.pods.find((p) => p.name === "agent-1")).toMatchObject({ place: "n1/host", hostNetwork: true });
  expect(shown.services.find((s) => s.name === "web-headless")).toMatchObject({ type: "Headless", readyEndpoints: 3 });
  expect(shown.services.find((s) => s.name === "away")).toMatchObject({ addresses: ["db.example.com"] });
});

test("a place in full fits its schema; tables that iptables-nft made are not counted twice", () => {
  const chain = (name: string, rules: number) => ({
    name,
    line: 5,
    policy: "ACCEPT" as const,
    rules: Array.from({ length: rules }, (_, i) => ({
      line: 6 + i,
      packets: null,
      bytes: null,
      matches: [],
      target: { t: "none" as const },
    })),
  });
  const nftTable = (family: "ip" | "inet", name: string) => ({
    family,
    name,
    handle: 1,
    flags: [],
    chains: [
      {
        name: "FORWARD",
        handle: 1,
        base: { type: "filter", hook: "forward", priority: 0, policy: "accept" as const, devices: [], source },
        rules: [],
        source,
      },
    ],
    sets: [
      {
        name: "ips",
        handle: 2,
        isMap: true,
        keyTypes: ["ipv4_addr", "inet_service"],
        valueType: "verdict",
        flags: [],
        elements: [1, 2],
        timeout: null,
        source,
      },
    ],
    objects: [],
    source,
  });
  const ns = makeNamespace("n1/host", [makeLink(2, "eth0", ["172.30.0.11/24"])], {
    xtables: [
      {
        file: "nodes/n1/host/iptables-save.txt",
        family: "ip",
        backend: "nft",
        tables: [{ name: "filter", line: 4, chains: [chain("FORWARD", 3)] }],
      },
    ],
    nft: { file: "nodes/n1/host/nft.json", tables: [nftTable("ip", "filter"), nftTable("inet", "kube-proxy")] },
    sysctls: {
      file: "nodes/n1/host/sysctl.txt",
      values: new Map([
        ["net.ipv4.conf.eth0.rp_filter", { value: "1", line: 7 }],
        ["net.core.somaxconn", { value: "4096", line: 8 }],
      ]),
    },
    missing: new Map([["ipvs", "ipvsadm -S -n: exit status 2"]]),
  });
  const shown = showPlace(ns, (_, dev) => (dev === "eth0" ? { at: "fabric/host", dev: "kw0" } : null));
  expect(showPlaceSchema.parse(JSON.parse(JSON.stringify(shown)))).toEqual(shown);
  expect(shown.namespace.tables.map((t) => [t.backend, t.family, t.table, t.rules])).toEqual([
    ["iptables-nft", "ip", "filter", 3],
    ["nftables", "inet", "kube-proxy", 0],
  ]);
  expect(shown.chains.map((c) => [c.table, c.chain, c.base])).toEqual([
    ["filter", "FORWARD", "policy ACCEPT"],
    ["kube-proxy", "FORWARD", "filter hook forward priority 0 policy accept"],
  ]);
  expect(shown.sets).toEqual([
    { name: "inet kube-proxy ips", type: "ipv4_addr . inet_service : verdict", entries: 2, source },
  ]);
  expect(shown.sysctls.map((s) => s.key)).toEqual(["net.ipv4.conf.eth0.rp_filter"]);
  expect(shown.namespace.links[1]).toMatchObject({ name: "eth0", peer: { at: "fabric/host", dev: "kw0" } });
  expect(shown.namespace.missing).toEqual([{ aspect: "ipvs", reason: "ipvsadm -S -n: exit status 2" }]);
});
