// One edit of a healthy recording is one difference, at its line; what no network claims is nobody's.
import { describe, expect, test } from "vitest";
import { hasRecording, type Edit } from "../doctor/testing/altered.ts";
import { json } from "../doctor/testing/edits.ts";
import { compared, found, insertedAfter, lines, rows, swapped } from "./testing/found.ts";

const VXLAN = "flannel-vxlan-iptables";
const NFTABLES = "flannel-hostgw-nftables";
const CALICO = "calico-vxlan-policies-iptables";
const TOR = "calico-bgp-tor-policies-iptables";
const RECORDINGS = [VXLAN, NFTABLES, CALICO, TOR];

const HOST = "n1/host";
const ADDR = `${HOST}/addr.json`;
const ROUTES = `${HOST}/route4.json`;
const NEIGHBOURS = `${HOST}/neigh.json`;
const SAVE = `${HOST}/iptables-save.txt`;
const NFT = `${HOST}/nft.json`;
const SETS = `${HOST}/ipset.txt`;
const SYSCTLS = `${HOST}/sysctl.txt`;

const present = RECORDINGS.every(hasRecording);
test("there are recordings to alter", (context) => {
  if (!present && process.env["CI"] !== "true") {
    console.warn("skipped: no recordings in ../shared/fixtures");
    context.skip("no recordings in ../shared/fixtures");
  }
  expect(present).toBe(true);
});

const NOTHING = { differences: [], unowned: [] };
const differs = (...differences: object[]): object => ({ differences, unowned: [] });

describe.skipIf(!present)("equal state", () => {
  test.each(RECORDINGS)("%s: all that is intended is there, and nothing else", (name) => {
    const { owners, differences, unowned, unknown } = compared(name);
    expect({ differences, unowned, unknown }).toEqual({ ...NOTHING, unknown: [] });
    expect(owners.filter(({ intended, equal }) => intended !== equal)).toEqual([]);
  });
});

describe.skipIf(!present)("pieces that stand alone", () => {
  test("a link's MTU", () => {
    const edit = rows((all) => all.map((row) => (row["ifname"] === "cni0" ? { ...row, mtu: 1400 } : row)));
    const link = { name: "cni0", type: "bridge", up: true };
    expect(found(VXLAN, { [ADDR]: edit })).toMatchObject(
      differs({
        owner: "bridge",
        at: HOST,
        kind: "link",
        intended: { ...link, mtu: 1450 },
        actual: { ...link, mtu: 1400 },
        where: `${ADDR}:5`,
      }),
    );
  });

  test("a route that is missing, at the head of its listing", () => {
    const edit = rows((all) => all.filter((row) => row["dst"] !== "10.244.1.0/24"));
    const intended = {
      family: 4,
      dst: "10.244.1.0/24",
      ways: [{ via: "10.244.1.0", dev: "flannel.1", onlink: true }],
    };
    expect(found(VXLAN, { [ROUTES]: edit })).toMatchObject(
      differs({ owner: "flannel", at: HOST, kind: "route", intended, actual: null, where: `${ROUTES}:1` }),
    );
  });

  test("a neighbour's MAC address", () => {
    const mac = "02:00:00:00:00:01";
    const edit = rows((all) => all.map((row) => (row["dst"] === "10.244.3.0" ? { ...row, lladdr: mac } : row)));
    const entry = { dev: "flannel.1", ip: "10.244.3.0", state: "PERMANENT" };
    expect(found(VXLAN, { [NEIGHBOURS]: edit })).toMatchObject(
      differs({
        owner: "flannel",
        at: HOST,
        kind: "neighbour",
        intended: { ...entry, mac: "ce:c0:96:89:ec:57" },
        actual: { ...entry, mac },
        where: `${NEIGHBOURS}:4`,
      }),
    );
  });

  test("a route that may be there: absent it is no difference, another than it may be it is one", () => {
    const told = (row: Record<string, unknown>): boolean => row["dst"] === "172.30.2.0/24";
    const absent = rows((all) => all.filter((row) => !told(row)));
    expect(found(TOR, { [ROUTES]: absent })).toEqual(NOTHING);
    const other = rows((all) => all.map((row) => (told(row) ? { ...row, gateway: "172.30.1.9" } : row)));
    const route = { family: 4, dst: "172.30.2.0/24", protocol: "bird" };
    expect(found(TOR, { [ROUTES]: other })).toMatchObject(
      differs({
        owner: "calico",
        intended: { ...route, ways: [{ via: "172.30.1.1", dev: "eth0" }] },
        actual: { ...route, ways: [{ via: "172.30.1.9", dev: "eth0" }] },
      }),
    );
  });

  test("a route that nobody asked for is nobody's", () => {
    const more = { type: "unicast", dst: "198.51.100.0/24", gateway: "172.30.0.12", dev: "eth0", flags: [] };
    const edit = rows((all) => [more, ...all]);
    const text = "198.51.100.0/24 via 172.30.0.12 dev eth0";
    expect(found(VXLAN, { [ROUTES]: edit })).toMatchObject({
      differences: [],
      unowned: [{ at: HOST, kind: "route", text: expect.stringContaining(text), where: `${ROUTES}:2` }],
    });
  });

  test("a setting of the kernel", () => {
    const edit = lines((all) => all.map((line) => line.replace(/^(net\.ipv4\.ip_forward) = 1$/, "$1 = 0")));
    const { differences, unowned } = found(VXLAN, { [SYSCTLS]: edit });
    const key = "net.ipv4.ip_forward";
    expect(unowned).toEqual([]);
    expect(differences.length).toBeGreaterThan(0);
    for (const difference of differences)
      expect(difference).toMatchObject({ kind: "sysctl", intended: { key, value: "1" }, actual: { key, value: "0" } });
    expect(new Set(differences.map(({ where }) => where)).size).toBe(1);
  });
});

const ruleOf = (chain: string, rule: string): object => ({ backend: "iptables", family: "ip", chain, rule });

describe.skipIf(!present)("rules of iptables", () => {
  const saved = (edit: (all: string[]) => string[]): Record<string, Edit> => ({ [SAVE]: lines(edit) });

  test("one too many in a chain with one owner", () => {
    const extra = "-A KUBE-FORWARD -s 10.9.9.9/32 -j DROP";
    expect(
      found(
        VXLAN,
        saved((all) => insertedAfter(all, "-A KUBE-FORWARD ", `[0:0] ${extra}`)),
      ),
    ).toMatchObject(
      differs({
        owner: "kube-proxy",
        at: HOST,
        kind: "rule",
        intended: null,
        actual: ruleOf("KUBE-FORWARD", extra),
        where: `${SAVE}:47`,
      }),
    );
  });

  test("one missing there, at the chain's head", () => {
    const less = saved((all) => all.filter((line) => !line.includes("-A KUBE-FORWARD -m conntrack --ctstate INVALID")));
    const intended = ruleOf("KUBE-FORWARD", expect.stringMatching(/ --ctstate INVALID .*-j DROP$/));
    expect(found(VXLAN, less)).toMatchObject(
      differs({ owner: "kube-proxy", at: HOST, kind: "rule", intended, actual: null, where: `${SAVE}:21` }),
    );
  });

  test("another one in its place", () => {
    const changed = saved((all) =>
      all.map((line) => (line.includes("-A KUBE-POSTROUTING") ? line.replace(" --random-fully", "") : line)),
    );
    expect(found(VXLAN, changed)).toMatchObject(
      differs({
        owner: "kube-proxy",
        intended: ruleOf("KUBE-POSTROUTING", expect.stringMatching(/-j MASQUERADE --random-fully$/)),
        actual: ruleOf("KUBE-POSTROUTING", expect.stringMatching(/-j MASQUERADE$/)),
        where: `${SAVE}:143`,
      }),
    );
  });

  test("two in the wrong order: one stands too late", () => {
    const first = "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN";
    const late = ruleOf("KUBE-POSTROUTING", first);
    const common = { owner: "kube-proxy", at: HOST, kind: "rule" };
    expect(
      found(
        VXLAN,
        saved((all) => swapped(all, first)),
      ),
    ).toMatchObject(
      differs(
        { ...common, intended: late, actual: null, where: `${SAVE}:69` },
        { ...common, intended: null, actual: late, where: `${SAVE}:142` },
      ),
    );
  });

  test("two of one owner in the wrong order, in a chain of many owners", () => {
    const rule = expect.stringMatching(/^-A INPUT .*-j KUBE-PROXY-FIREWALL$/);
    expect(
      found(
        VXLAN,
        saved((all) => swapped(all, "-A INPUT -m conntrack")),
      ),
    ).toMatchObject({
      differences: [{ owner: "kube-proxy", intended: ruleOf("INPUT", rule), actual: null, where: `${SAVE}:15` }],
      unowned: [{ at: HOST, kind: "rule", text: rule, where: `${SAVE}:28` }],
    });
  });

  test("somebody else's in a chain of many owners", () => {
    const foreign = "-A FORWARD -p tcp -m tcp --dport 9 -j DROP";
    expect(
      found(
        VXLAN,
        saved((all) => insertedAfter(all, "-A FORWARD ", `[0:0] ${foreign}`)),
      ),
    ).toEqual({
      differences: [],
      unowned: [{ at: HOST, kind: "rule", text: foreign, where: `${SAVE}:36` }],
    });
  });

  test("a chain whose name is a hash is known by what it holds", () => {
    const [name, other] = ["cali-pi-_J5Ms5kHR1e3Qobl-kaW", "cali-pi-_another-name-of-it"];
    const renamed = (line: string): string => line.replaceAll(name, other);
    expect(
      found(
        CALICO,
        saved((all) => all.map(renamed)),
      ),
    ).toEqual(NOTHING);
    // And when it holds another, by being the only one that is left.
    const changed = saved((all) => all.map((line) => renamed(line).replace("8080:8090", "8080:8091")));
    expect(found(CALICO, changed)).toMatchObject(
      differs({
        owner: "calico",
        intended: ruleOf(other, expect.stringMatching(`^-A ${other} .*--dports 8080:8090 `)),
        actual: ruleOf(other, expect.stringMatching(`^-A ${other} .*--dports 8080:8091 `)),
        where: `${SAVE}:166`,
      }),
    );
  });
});

describe.skipIf(!present)("sets", () => {
  test("an element that is missing", () => {
    const less = lines((all) => all.filter((line) => line !== "add cali40all-vxlan-net 172.30.0.13"));
    const set = { backend: "ipset", name: "cali40all-vxlan-net" };
    const { differences, unowned } = found(CALICO, { [SETS]: less });
    expect(unowned).toEqual([]);
    expect(differences).toMatchObject([
      {
        owner: "calico",
        at: HOST,
        kind: "set",
        intended: { ...set, elements: expect.arrayContaining(["172.30.0.12", "172.30.0.13"]) },
        actual: { ...set, elements: ["172.30.0.12"] },
        where: `${SETS}:10`,
      },
    ]);
  });

  test("a set that is missing, at the head of its listing", () => {
    const less = lines((all) => all.filter((line) => !line.includes("cali40dscp-src-net")));
    const intended = { backend: "ipset", name: "cali40dscp-src-net", elements: [] };
    expect(found(CALICO, { [SETS]: less })).toMatchObject(
      differs({ owner: "calico", at: HOST, kind: "set", intended, actual: null, where: `${SETS}:1` }),
    );
  });

  test("a set whose name is a hash is known by what it holds, and rules by it", () => {
    const rename = (text: string): string => text.replaceAll("cali40s:s5AS7YPbgJrZVj_0vqawL6X", "cali40s:another");
    expect(found(CALICO, { [SETS]: rename, [SAVE]: rename })).toEqual(NOTHING);
  });
});

type Listing = { nftables: Record<string, Record<string, unknown>>[] };

describe.skipIf(!present)("nftables", () => {
  const sets = (named: (name: string) => boolean, change: (set: Record<string, unknown>) => void): Edit =>
    json<Listing>(({ nftables }) => {
      for (const { set } of nftables)
        if (set !== undefined && set["family"] === "ip" && named(String(set["name"]))) change(set);
    });

  test("what packets put into a set is not compared", () => {
    const filled = sets(
      (name) => name.startsWith("affinity-"),
      (set) => {
        set["elem"] = [{ elem: { val: "10.244.1.7", expires: 500 } }];
      },
    );
    expect(found(NFTABLES, { [NFT]: filled })).toEqual(NOTHING);
  });

  test("what a program puts there is", () => {
    const less = sets(
      (name) => name === "nodeport-ips",
      (set) => {
        set["elem"] = ["172.30.0.99"];
      },
    );
    const set = { backend: "nft", family: "ip", table: "kube-proxy", name: "nodeport-ips" };
    expect(found(NFTABLES, { [NFT]: less })).toMatchObject(
      differs({
        owner: "kube-proxy",
        at: HOST,
        kind: "set",
        intended: { ...set, elements: ["172.30.0.11"] },
        actual: { ...set, elements: ["172.30.0.99"] },
      }),
    );
  });

  test("one rule too many, and one missing", () => {
    const isHead = (rule: Record<string, unknown> | undefined): boolean =>
      rule?.["family"] === "ip" && rule["table"] === "kube-proxy" && rule["chain"] === "masquerading";
    const twice = json<Listing>((listing) => {
      const at = listing.nftables.findLastIndex(({ rule }) => isHead(rule));
      listing.nftables.splice(at, 0, listing.nftables[at]!);
    });
    const where = { owner: "kube-proxy", at: HOST, kind: "rule" };
    expect(found(NFTABLES, { [NFT]: twice })).toMatchObject(
      differs({ ...where, intended: null, actual: { table: "kube-proxy", chain: "masquerading" } }),
    );
    const less = json<Listing>((listing) => {
      const at = listing.nftables.findLastIndex(({ rule }) => isHead(rule));
      listing.nftables.splice(at, 1);
    });
    const intended = { family: "ip", chain: "masquerading", rule: expect.stringContaining("masquerade") };
    expect(found(NFTABLES, { [NFT]: less })).toMatchObject(differs({ ...where, intended, actual: null }));
  });
});
