import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadSnapshot } from "../../../../host/snapshot/load.ts";
import { formatIp, formatPrefix, parseIp } from "../../../model/address.ts";
import { emptyCluster } from "../../../parse/cluster.ts";
import { nextAddress, releaseAddress, type AddressRequest } from "./assign.ts";
import { firstBelow, fnv32 } from "./go-random.ts";
import type { Labels } from "./labels.ts";
import { nth } from "./range.ts";
import { readIpam } from "./read.ts";
import type { Assignment } from "./search.ts";
import type { IpamState } from "./state.ts";

interface PoolSpec {
  name?: string;
  cidr: string;
  [field: string]: unknown;
}

/** An IPAM of these pools and nodes (labels by name), with the configuration and reservations given. */
function ipam(
  pools: PoolSpec[],
  nodes: Record<string, Record<string, string>>,
  config: object = {},
  reserved: string[] = [],
): IpamState {
  const cluster = emptyCluster();
  const source = { file: "cluster/nodes.json", line: 1 };
  cluster.nodes = Object.entries(nodes).map(([name, labels]) => ({
    namespace: "",
    name,
    labels,
    annotations: {},
    source,
    addresses: [],
    podCIDRs: [],
  }));
  const objects = pools.map(({ name, ...spec }, i) => ({ metadata: { name: name ?? `pool-${i}` }, spec }));
  cluster.raw.set("ippools.crd.projectcalico.org", objects);
  cluster.raw.set("ipamconfigs.crd.projectcalico.org", [
    { metadata: { name: "default" }, spec: { autoAllocateBlocks: true, strictAffinity: false, ...config } },
  ]);
  cluster.raw.set("ipreservations.crd.projectcalico.org", [
    { metadata: { name: "r" }, spec: { reservedCIDRs: reserved } },
  ]);
  const state = readIpam(cluster, 1_000_000);
  if (state === null) throw new Error("no pool");
  return state;
}

/** Asks `n` times; the assignments and the state at the end. */
function ask(state: IpamState, n: number, request: AddressRequest): { got: Assignment[]; state: IpamState } {
  const got: Assignment[] = [];
  let current = state;
  for (let i = 0; i < n; i++) {
    const found = nextAddress(current, request);
    got.push(found.assignment);
    current = found.state;
  }
  return { got, state: current };
}

const addresses = (got: Assignment[]): (string | null)[] => got.map((each) => each.address);
const blocksOf = (state: IpamState, host: string): string[] =>
  state.affinities.filter((each) => each.owner.host === host).map((each) => formatPrefix(each.prefix));
const release = (state: IpamState, ip: string): IpamState => releaseAddress(state, parseIp(ip)!);

// What `rand.New(rand.NewSource(int64(fnv.New32(host))))` and big.Int.Rand of Go 1.26 print.
test.each([
  ["n1", "1024", "162"],
  ["n2", "1024", "868"],
  ["n3", "1024", "392"],
  ["host-a", "4", "0"],
  ["", "1000", "88"],
  ["kube-master", "16384", "4447"],
  ["virtual:load-balancer", "288230376151711744", "14902862957087632"],
  ["é", "1208925819614629174706176", "46698602815155930451264"],
  [
    "ip-10-0-0-12.eu-west-1.compute.internal",
    "5192296858534827628530496329220096",
    "1269261397618295372827829320317813",
  ],
])("Go's random number of %j below %s", (host, limit, start) => {
  expect(firstBelow(BigInt(limit), fnv32(host))).toBe(BigInt(start));
});

describe("as libcalico-go's tests of IPAM have it", () => {
  test("the first block of host-a in 10.0.0.0/24 is the first, and a second pool is used when it is asked for", () => {
    const state = ipam([{ cidr: "10.0.0.0/24" }, { cidr: "20.0.0.0/24" }], { "host-a": {} });
    const first = nextAddress(state, { node: "host-a", family: 4 });
    expect(first.assignment).toMatchObject({ address: "10.0.0.0", block: "10.0.0.0/26", rule: "new-block" });
    const second = nextAddress(first.state, { node: "host-a", family: 4, configured: ["20.0.0.0/24"] });
    expect(second.assignment).toMatchObject({ address: "20.0.0.0", block: "20.0.0.0/26", rule: "new-block" });
    const annotations = { "cni.projectcalico.org/ipv4pools": '["pool-0"]' };
    const third = nextAddress(second.state, { node: "host-a", family: 4, annotations, configured: ["20.0.0.0/24"] });
    expect(third.assignment).toMatchObject({ address: "10.0.0.1", rule: "owned-block" });
  });

  test("a pool that was asked for stays the only one: 256 addresses, then none", () => {
    const state = ipam([{ cidr: "10.0.0.0/24" }, { cidr: "20.0.0.0/24" }], { "host-a": {} });
    const { got } = ask(state, 257, { node: "host-a", family: 4, configured: ["pool-1"] });
    expect(got.filter((each) => each.address?.startsWith("20.0.0.") === true)).toHaveLength(256);
    expect(got.at(-1)).toMatchObject({ address: null, rule: "none" });
  });

  test("an own block that is full leads to the next, round the end of the pool", () => {
    const { got, state } = ask(ipam([{ cidr: "10.0.0.0/28", blockSize: 30 }], { n1: {} }), 16, {
      node: "n1",
      family: 4,
    });
    expect(new Set(addresses(got)).size).toBe(16);
    expect(blocksOf(state, "n1").toSorted()).toEqual(["10.0.0.0/30", "10.0.0.12/30", "10.0.0.4/30", "10.0.0.8/30"]);
    const starts = got.filter((each) => each.rule === "new-block").map((each) => each.block);
    expect(starts).toEqual(["10.0.0.8/30", "10.0.0.12/30", "10.0.0.0/30", "10.0.0.4/30"]);
  });

  test("only pools that select the node; a disabled one or one that does not exist fails the request", () => {
    const pools = [
      { cidr: "10.0.0.0/24", nodeSelector: 'foo == "bar"' },
      { cidr: "20.0.0.0/24", nodeSelector: 'foo != "bar"' },
      { cidr: "30.0.0.0/24", disabled: true },
    ];
    const state = ipam(pools, { host: { foo: "bar" } });
    const { got } = ask(state, 300, { node: "host", family: 4 });
    expect(got.filter((each) => each.address?.startsWith("10.0.0.") === true)).toHaveLength(256);
    expect(got.at(-1)?.rule).toBe("none");
    for (const wanted of ["pool-2", "40.0.0.0/24"])
      expect(nextAddress(state, { node: "host", family: 4, configured: ["pool-0", wanted] }).assignment.rule).toBe(
        "none",
      );
    expect(nextAddress(state, { node: "host", family: 6 }).assignment.rule).toBe("none");
    expect(nextAddress(state, { node: "elsewhere", family: 4 }).assignment.rule).toBe("none");
  });

  test("namespaces select pools, too; pools on request are taken by name alone", () => {
    const pools = [
      { cidr: "10.0.0.0/24", namespaceSelector: "team == 'a'" },
      { cidr: "20.0.0.0/24", assignmentMode: "Manual" },
      { cidr: "30.0.0.0/24" },
    ];
    const state = ipam(pools, { n1: {} });
    const pool = (labels: Record<string, string>, annotations: Record<string, string> = {}): string | null =>
      nextAddress(state, { node: "n1", family: 4, namespace: { labels, annotations } }).assignment.pool;
    expect(pool({ team: "a" })).toBe("pool-0");
    expect(pool({ team: "b" })).toBe("pool-2");
    expect(pool({}, { "cni.projectcalico.org/ipv4pools": '["pool-1"]' })).toBe("pool-1");
  });

  test("a node whose pool no longer selects it keeps its block; another borrows from it", () => {
    const pools = [{ cidr: "10.0.0.0/30", blockSize: 30, nodeSelector: 'foo == "bar"' }];
    const before = ask(ipam(pools, { host1: { foo: "bar" }, host2: {} }), 3, { node: "host1", family: 4 }).state;
    const labels: [string, Labels][] = [
      ["host1", {}],
      ["host2", { foo: "bar" }],
    ];
    const state = { ...before, nodes: new Map(labels) };
    expect(nextAddress(state, { node: "host1", family: 4 }).assignment.rule).toBe("none");
    const found = nextAddress(state, { node: "host2", family: 4 });
    expect(found.assignment).toMatchObject({ address: "10.0.0.3", rule: "borrowed", from: "host1" });
    expect(blocksOf(found.state, "host1")).toEqual(["10.0.0.0/30"]);
    const strict = nextAddress({ ...state, config: { ...state.config, strict: true } }, { node: "host2", family: 4 });
    expect(strict.assignment.rule).toBe("none");
  });

  test("an empty block whose pool no longer selects its node is given up at the next request", () => {
    const first = ask(ipam([{ cidr: "10.0.0.0/24" }, { cidr: "20.0.0.0/24" }], { host: {} }), 1, {
      node: "host",
      family: 4,
    });
    const empty = release(first.state, first.got[0]!.address!);
    expect(blocksOf(empty, "host")).toHaveLength(1);
    const state = {
      ...empty,
      pools: empty.pools.map((p) => (p.name === "pool-0" ? { ...p, nodeSelector: "has(x)" } : p)),
    };
    const found = nextAddress(state, { node: "host", family: 4 });
    expect(found.assignment.pool).toBe("pool-1");
    expect(blocksOf(found.state, "host").every((block) => block.startsWith("20."))).toBe(true);
    expect(found.state.blocks.size).toBe(1);
  });

  test("a pool that does not allow the use leaves the block alone", () => {
    const pools = [
      { cidr: "10.0.0.0/24", allowedUses: ["Workload"] },
      { cidr: "20.0.0.0/24", allowedUses: ["Tunnel"] },
    ];
    const first = ask(ipam(pools, { host: {} }), 1, { node: "host", family: 4 });
    const found = nextAddress(release(first.state, first.got[0]!.address!), { node: "host", family: 4, use: "Tunnel" });
    expect(found.assignment.pool).toBe("pool-1");
    expect(blocksOf(found.state, "host")).toHaveLength(2);
  });

  test("reserved addresses are passed over: 58 of 64", () => {
    const state = ipam([{ cidr: "10.0.0.0/26" }], { n1: {} }, {}, [
      "10.0.0.1/32",
      "10.0.0.32/30",
      "11.0.0.0/30",
      "10.0.0.17/32",
    ]);
    const { got } = ask(state, 64, { node: "n1", family: 4 });
    expect(got.filter((each) => each.address !== null)).toHaveLength(58);
    expect(addresses(got)).not.toContain("10.0.0.17");
  });

  test("no more blocks than a host may have, and no borrowing then", () => {
    const state = ipam([{ cidr: "10.0.0.0/24", blockSize: 30 }], { n1: {}, n2: {} }, { maxBlocksPerHost: 2 });
    const other = ask(state, 1, { node: "n2", family: 4 }).state;
    const { got } = ask(other, 9, { node: "n1", family: 4 });
    expect(got.slice(0, 8).every((each) => each.address !== null)).toBe(true);
    expect(got[8]).toMatchObject({ rule: "none", why: expect.stringContaining("may have 2") as string });
    const fewer = ask(other, 5, { node: "n1", family: 4, maxBlocks: 1 }).got;
    expect(fewer[4]?.rule).toBe("none");
  });

  test("another host's empty block is reclaimed after a minute", () => {
    const full = ask(ipam([{ cidr: "10.0.0.0/30", blockSize: 30 }], { n1: {}, n2: {} }), 1, { node: "n1", family: 4 });
    const empty = release(full.state, full.got[0]!.address!);
    expect(nextAddress(empty, { node: "n2", family: 4 }).assignment.rule).toBe("borrowed");
    const later = nextAddress({ ...empty, now: 1_000_060 }, { node: "n2", family: 4 });
    expect(later.assignment).toMatchObject({ address: "10.0.0.0", rule: "reclaimed-block", from: "n1" });
    expect(blocksOf(later.state, "n1")).toEqual([]);
    expect(blocksOf(later.state, "n2")).toEqual(["10.0.0.0/30"]);
  });

  test("what is given back is given out last", () => {
    const { got, state } = ask(ipam([{ cidr: "10.0.0.0/30", blockSize: 30 }], { n1: {} }), 2, {
      node: "n1",
      family: 4,
    });
    const { got: more } = ask(release(state, got[0]!.address!), 3, { node: "n1", family: 4 });
    expect(addresses(more)).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.0"]);
  });

  test("an address that is asked for by itself claims its block; twice it is refused", () => {
    const annotations = { "cni.projectcalico.org/ipAddrs": '["10.0.0.77"]' };
    const state = ipam([{ cidr: "10.0.0.0/24" }], { n1: {}, n2: {} });
    const found = nextAddress(state, { node: "n1", family: 4, annotations });
    expect(found.assignment).toMatchObject({ address: "10.0.0.77", block: "10.0.0.64/26", rule: "requested" });
    expect(nextAddress(found.state, { node: "n2", family: 4, annotations }).assignment.rule).toBe("none");
  });

  test("IPv6 in blocks of 64, of a pool with 2^58 of them; single addresses start at random", () => {
    const state = ipam([{ cidr: "fd00:10::/64" }, { cidr: "10.9.0.0/29", blockSize: 32 }], { n1: {} });
    const six = ask(state, 65, { node: "n1", family: 6 });
    expect(new Set(six.got.map((each) => each.block)).size).toBe(2);
    expect(six.got[0]?.block).toMatch(/\/122$/);
    expect(nextAddress(state, { node: "n1", family: 4 }).assignment).toMatchObject({
      address: null,
      rule: "new-block",
    });
    const one = ipam([{ cidr: "10.9.0.0/32", blockSize: 32 }], { n1: {} });
    expect(nextAddress(one, { node: "n1", family: 4 }).assignment.address).toBe("10.9.0.0");
  });
});

const recordings = "../shared/fixtures";
const folders = existsSync(recordings) ? readdirSync(recordings).filter((name) => name.startsWith("calico-")) : [];

describe.skipIf(folders.length === 0)(`recordings of Calico in ${recordings} (skipped when absent)`, () => {
  test.each(folders)("%s: the order in which pods came gives its blocks and addresses", async (name) => {
    const snapshot = await loadSnapshot(`${recordings}/${name}/snapshot`);
    const state = readIpam(snapshot.cluster, null)!;
    // Sequence numbers grow with every change of a block, so they tell the order within it.
    const raw = JSON.parse(
      // Numbers beyond 2^53 as texts.
      readFileSync(`${recordings}/${name}/snapshot/cluster/ipamblocks.crd.projectcalico.org.json`, "utf8").replaceAll(
        /: *(\d{17,})/g,
        ':"$1"',
      ),
    ) as { items: { spec: { cidr: string; sequenceNumberForAllocation: Record<string, string> } }[] };
    const numbers = new Map(raw.items.map(({ spec }) => [spec.cidr, spec.sequenceNumberForAllocation]));
    const given = [...state.blocks].flatMap(([cidr, block]) =>
      [...block.allocations.values()].map(({ ordinal, attributes }) => ({
        address: formatIp(nth(block.prefix, ordinal)),
        family: block.prefix.ip.v,
        node: attributes["node"]!,
        use: attributes["type"] === undefined ? ("Workload" as const) : ("Tunnel" as const),
        order: `${cidr} ${numbers.get(cidr)?.[String(ordinal)] ?? ""}`,
      })),
    );
    given.sort((x, y) => (x.order < y.order ? -1 : 1));
    expect(given.length).toBeGreaterThan(5);
    let current: IpamState = { ...state, blocks: new Map(), affinities: [] };
    const got = given.map(({ node, family, use }) => {
      const found = nextAddress(current, { node, family, use });
      current = found.state;
      return found.assignment.address;
    });
    expect(got).toEqual(given.map(({ address }) => address));
    const shape = (each: IpamState): unknown =>
      [...each.blocks].map(([cidr, { owner, free }]) => [cidr, owner, free]).toSorted();
    expect(shape(current)).toEqual(shape(state));
    expect(current.affinities.map((each) => each.name).toSorted()).toEqual(
      state.affinities.map((each) => each.name).toSorted(),
    );
  });
});
