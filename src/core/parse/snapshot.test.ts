import { describe, expect, test } from "vitest";
import { ParseError } from "../model/source.ts";
import { assembleSnapshot } from "./snapshot.ts";
import { filesOf, load, missing, NFT } from "./snapshot/testing.ts";

const shown = (n: number): [number, string] => [
  0,
  `conntrack v1.4.7 (conntrack-tools): ${n} flow entries have been shown.`,
];

const records = (bytes: number): string =>
  JSON.stringify([{ file: "host/sockets.txt", command: "ss", exit: 0, stderr: "", bytes }]);

const lostSockets = (text: string | undefined, bytes: number): string | undefined =>
  missing({ files: { "sockets.txt": text }, more: { "nodes/n1/commands.json": records(bytes) } })["sockets"];

describe("what is missing, and why", () => {
  test("nothing, when every command ended well", () => {
    expect(missing()).toEqual({});
    expect(load().problems).toEqual([]);
  });

  test("a failed command, with its exit status and stderr", () => {
    expect(
      missing({ files: { "fdb.json": undefined }, ended: { "fdb.json": [255, "Cannot open\nmore\nand more"] } }),
    ).toEqual({
      fdb: "print fdb.json: exit 255: Cannot open; more",
    });
    expect(missing({ files: { "fdb.json": undefined }, ended: { "fdb.json": [null, ""] } })).toEqual({
      fdb: "print fdb.json: did not end by itself",
    });
  });

  test("what a failed command printed is not trusted", () => {
    expect(missing({ ended: { "neigh.json": [1, "No buffer space"] } })).toEqual({
      neigh: "print neigh.json: exit 1: No buffer space",
    });
  });

  test.each([
    ["ipvs", "ipvs.txt", 2, "Can't initialize ipvs: Protocol not available"],
    ["vlan", "vlan.json", 1, "RTNETLINK answers: Operation not supported\nDump terminated"],
    ["nexthop", "nexthop.json", 2, "RTNETLINK answers: Operation not supported\nDump terminated"],
    ["tc", "tc.json", 1, "RTNETLINK answers: Operation not supported\nDump terminated"],
    ["nft", "nft.json", 1, "netlink: Error: Unable to initialize Netlink socket: Protocol not supported"],
    // The settings of these are absent above, so the kernel has neither.
    ["ipvs", "ipvs.txt", 127, "ipvsadm: not found"],
  ])("%s: failing is the answer", (_aspect, name, exit, stderr) => {
    expect(missing({ files: { [name]: undefined }, ended: { [name]: [exit, stderr] } })).toEqual({});
  });

  test.each([
    ["vlan", "vlan.json", 127, "bridge: not found"],
    ["nexthop", "nexthop.json", 1, 'Object "nexthop" is unknown, try "ip help".'],
    ["nft", "nft.json", 127, "nft: not found"],
    ["nft", "nft.json", 1, "Operation not permitted (you must be root)"],
    ["ipset", "ipset.txt", 1, "ipset v7.17: Cannot open session to kernel."],
    ["conntrack", "conntrack.txt", 127, "conntrack: not found"],
    ["route6", "route6.json", 2, "RTNETLINK answers: Operation not supported"],
    ["sysctl", "sysctl.txt", 127, "sysctl: not found"],
  ])("%s: failing is no answer", (aspect, name, exit, stderr) => {
    expect(Object.keys(missing({ files: { [name]: undefined }, ended: { [name]: [exit, stderr] } }))).toEqual([aspect]);
  });

  test("a kernel without IPv6 or connection tracking has nothing of them", () => {
    const sysctl = "net.core.somaxconn = 4096\nnet.unix.max_dgram_qlen = 10\n";
    const fail: [number, string] = [1, "RTNETLINK answers: Operation not supported"];
    const gone = [
      "route6.json",
      "rule6.json",
      "conntrack.txt",
      "conntrack6.txt",
      "ip6tables-save.txt",
      "ip6tables-legacy-save.txt",
    ];
    expect(
      missing({
        files: { "sysctl.txt": sysctl, ...Object.fromEntries(gone.map((name) => [name, undefined])) },
        ended: Object.fromEntries(gone.map((name) => [name, fail])),
      }),
    ).toEqual({});
  });

  test("nothing recorded", () => {
    expect(missing({ files: { "route4.json": undefined }, ended: { "route4.json": null } })).toEqual({
      route4: "route4.json was not recorded",
    });
  });

  test("commands.json absent: files are read, absent ones were not recorded", () => {
    const found = missing({ more: { "nodes/n1/commands.json": undefined } });
    expect(Object.keys(found)).toEqual([
      "iptables-legacy",
      "ip6tables-legacy",
      "ipset",
      "conntrack",
      "conntrack6",
      "sockets",
    ]);
    expect(found["ipset"]).toBe("ipset.txt was not recorded");
  });

  test("a command that prints JSON always prints something", () => {
    expect(missing({ files: { "route4.json": undefined } })["route4"]).toContain("always prints something");
    expect(missing({ files: { "route4.json": "" } })["route4"]).toContain("always prints something");
  });

  test("an interrupted dump", () => {
    expect(
      missing({ ended: { "route4.json": [0, "Dump was interrupted and may be inconsistent."] } })["route4"],
    ).toContain("interrupted");
  });

  test("a malformed or cut file is a problem as well", () => {
    const snapshot = load({ files: { "neigh.json": "[\n{", "sockets.txt": "tcp LISTEN 0 5 *:80 *:*" } });
    expect(snapshot.problems.map((p) => p.source)).toEqual([
      { file: "nodes/n1/host/neigh.json", line: 2 },
      { file: "nodes/n1/host/sockets.txt", line: 1 },
    ]);
    expect(snapshot.problems.every((p) => p instanceof ParseError)).toBe(true);
    expect([...snapshot.namespaces[0]!.missing.keys()]).toEqual(["neigh", "sockets"]);
  });

  test("sysctl: unreadable single settings do no harm, an incomplete file does", () => {
    expect(missing({ ended: { "sysctl.txt": [1, 'sysctl: reading key "net.ipv6.conf.all.stable_secret"'] } })).toEqual(
      {},
    );
    const cut = load({ files: { "sysctl.txt": "net.ipv4.ip_forward = 1\n" } }).namespaces[0]!;
    expect(cut.missing.get("sysctl")).toContain("is not whole");
    expect(cut.sysctls.values.size).toBe(1);
  });

  test("conntrack says how many entries it showed", () => {
    const entry =
      "ipv4     2 udp      17 9 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 use=1\n";
    expect(missing({ files: { "conntrack.txt": entry }, ended: { "conntrack.txt": shown(1) } })).toEqual({});
    expect(missing({ files: { "conntrack.txt": entry }, ended: { "conntrack.txt": shown(2) } })).toEqual({
      conntrack: "conntrack.txt has 1 entries, but conntrack said that it had shown 2",
    });
    expect(Object.keys(missing({ ended: { "conntrack6.txt": shown(3) } }))).toEqual(["conntrack6"]);
  });

  test("a recorder that notes lengths: files that are cut at a line's end", () => {
    const text = "tcp LISTEN 0 5 *:80 *:* cgroup:/é€😀\n";
    expect(lostSockets(text, Buffer.byteLength(text))).toBeUndefined();
    expect(lostSockets(text, 1000)).toBe("sockets.txt has 42 bytes, but ss printed 1000");
    expect(lostSockets(undefined, 9)).toBe("sockets.txt has 0 bytes, but ss printed 9");
    expect(lostSockets(undefined, 0)).toBeUndefined();
  });

  test("commands.json malformed: a problem, and as if absent", () => {
    const snapshot = load({ more: { "nodes/n1/commands.json": "[" } });
    expect(snapshot.problems.map((p) => p.source.file)).toEqual(["nodes/n1/commands.json"]);
    expect(snapshot.namespaces[0]!.missing.has("ipset")).toBe(true);
  });
});

const nftSource = (text: string) =>
  load({ files: { "nft.json": NFT("mine", "out"), "nft.txt": text } }).namespaces[0]!.nft!.tables[0]!.source;

test("nft.txt gives lines while it is whole", () => {
  const whole = 'table ip mine { # handle 1\n\tchain out { # handle 1\n\t\tcomment "}" # handle 2\n\t}\n}\n';
  expect(nftSource(whole)).toEqual({ file: "nodes/n1/host/nft.txt", line: 1 });
  expect(nftSource(whole.slice(0, -2))).toEqual({ file: "nodes/n1/host/nft.json", line: 1 });
});

const netns = (dir: string, text: string | undefined): Record<string, string | undefined> => ({
  [`nodes/n1/netns/${dir}/netns.json`]: text,
  [`nodes/n1/netns/${dir}/addr.json`]: "[]\n",
});

describe("places", () => {
  test("pods, other namespaces, hosts beyond the nodes", () => {
    const pod = '{"inode":7,"path":"/run/netns/a","pod":{"namespace":"shop","name":"web-1"}}';
    const snapshot = load({
      more: {
        ...netns("7", pod),
        ...netns("8", '{"inode":8,"path":null}'),
        ...netns("9", undefined),
        ...netns("95", pod.replace("7", "95")),
        ...netns("96", "{"),
        "nodes/outside/host/addr.json": "[]\n",
        "snapshot.json": '{"format":"kubewalk.snapshot/v1","nodes":["n1"]}',
      },
    });
    expect(snapshot.nodes).toEqual(["n1"]);
    expect(snapshot.namespaces.map((n) => [n.place, n.inode, n.path, n.pod?.name ?? null, n.dir])).toEqual([
      ["n1/host", null, null, null, "nodes/n1/host"],
      ["n1/pod/shop/web-1", 7, "/run/netns/a", "web-1", "nodes/n1/netns/7"],
      ["n1/netns/8", 8, null, null, "nodes/n1/netns/8"],
      ["n1/netns/9", 9, null, null, "nodes/n1/netns/9"],
      ["n1/netns/95", 95, "/run/netns/a", null, "nodes/n1/netns/95"],
      ["n1/netns/96", 96, null, null, "nodes/n1/netns/96"],
      ["outside/host", null, null, null, "nodes/outside/host"],
    ]);
    expect(snapshot.problems.map((p) => p.source.file)).toEqual([
      "nodes/n1/netns/95/netns.json",
      "nodes/n1/netns/96/netns.json",
    ]);
  });

  test("a node that is listed but not there: everything of it is missing", () => {
    const snapshot = load({ more: { "snapshot.json": '{"format":"kubewalk.snapshot/v1","nodes":["n2","n1"]}' } });
    expect(snapshot.namespaces.map((n) => n.place)).toEqual(["n2/host", "n1/host"]);
    expect(snapshot.namespaces[0]!.missing.size).toBeGreaterThan(20);
    expect(snapshot.problems.map((p) => p.message)).toEqual(["snapshot.json:1: nodes/n2 is not in the snapshot"]);
  });

  test("without snapshot.json the nodes are the folders that the fabric does not name", () => {
    const fabric = '{"format":"kubewalk.fabric/v1","segments":[],"routers":["tor"],"external":[]}';
    const snapshot = load({
      more: { "fabric.json": fabric, "nodes/tor/host/addr.json": "[]\n", "nodes/a/host/addr.json": "[]\n" },
    });
    expect(snapshot.nodes).toEqual(["a", "n1"]);
    expect(snapshot.takenAt).toBeNull();
  });
});

describe("the whole", () => {
  test.each(["snapshot.json", "fabric.json"])("%s malformed: refused", (path) => {
    expect(() => load({ more: { [path]: "{" } })).toThrow(ParseError);
  });

  test("no node: refused", () => {
    expect(() => assembleSnapshot({ paths: () => ["README"], read: () => undefined })).toThrow(
      "the snapshot holds no node",
    );
  });

  test("cluster objects that are malformed or absent are missing", () => {
    const { cluster, problems } = load({
      more: {
        "cluster/pods.json": "{",
        "cluster/services.json": '{"kind":"List","items":[]}',
        "cluster/x.example.json": "[]",
      },
    });
    expect(problems.map((p) => p.source.file)).toEqual(["cluster/pods.json", "cluster/x.example.json"]);
    expect([...cluster.missing.keys()]).toEqual(["pods", "x.example", "endpointslices.discovery.k8s.io", "nodes"]);
    expect(cluster.missing.get("nodes")).toBe("cluster/nodes.json was not recorded");
  });

  test("texts, lines and progress", () => {
    const text = Array.from({ length: 1000 }, (_, i) => `line ${i + 1}`).join("\n");
    const done: string[] = [];
    const files = filesOf({ more: { "nodes/n1/files/x": text } });
    const snapshot = assembleSnapshot(files, (p) => done.push(`${p.place} ${p.done}/${p.total}`));
    expect(done).toEqual(["n1/host 1/1"]);
    expect(snapshot.text("nodes/n1/files/x")).toBe(text);
    expect(snapshot.text("nodes/n1/files/y")).toBeUndefined();
    const line = (n: number, file = "nodes/n1/files/x") => snapshot.line({ file, line: n });
    expect([1, 256, 257, 513, 1000].map((n) => line(n))).toEqual([
      "line 1",
      "line 256",
      "line 257",
      "line 513",
      "line 1000",
    ]);
    expect([0, 1001, 5000].map((n) => line(n))).toEqual(["", "", ""]);
    expect(line(1, "absent")).toBe("");
  });
});
