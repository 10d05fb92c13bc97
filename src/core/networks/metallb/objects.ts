/** MetalLB's pools, advertisements and peers as recorded (api metallb.io; internal/config/config.go). */
import { compareIp, inPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import { wholeSeconds } from "../go-duration.ts";
import { labelsOf, selectorTakes } from "../label-selector.ts";
import { list, object, resources, text, texts, whole, type Raw } from "../raw.ts";

export type Labels = Readonly<Record<string, string>>;

export interface AddressPool {
  name: string;
  labels: Labels;
  /** Prefixes, or first and last address. */
  ranges: (Prefix | { first: Ip; last: Ip })[];
}

/** Which pools and nodes an advertisement is for. */
interface Advertisement {
  name: string;
  pool: (pool: AddressPool) => boolean;
  node: (labels: Labels) => boolean;
}

export interface L2Advertisement extends Advertisement {
  /** Devices that answer; empty for all. */
  interfaces: string[];
}

export interface BgpAdvertisement extends Advertisement {
  aggregation: { 4: number; 6: number };
  localPref: number;
  /** `65000:1`, `65000:1:2`, sorted. */
  communities: string[];
  /** Names of the peers that hear it; empty for all. */
  peers: string[];
}

export interface BgpPeer {
  name: string;
  node: (labels: Labels) => boolean;
  myAs: number;
  /** A number, `internal` or `external`. */
  as: string;
  address: string;
  port: number;
  source: string | null;
  routerId: string | null;
  /** Seconds. */
  hold: number | null;
  keepalive: number | null;
  connect: number | null;
  multihop: boolean;
  gracefulRestart: boolean;
  bfd: string | null;
  vrf: string;
  /** Whether one session carries the routes of both families. */
  dualStack: boolean;
  /** Secret that holds the password; null for none. */
  password: string | null;
}

/** Any of several selectors; all when there is none. */
function anyOf(value: unknown): (labels: Labels) => boolean {
  const selectors = list(value);
  return (labels) => selectors.length === 0 || selectors.some((each) => selectorTakes(each, labelsOf(labels)));
}

const all = (cluster: Cluster, plural: string): ReturnType<typeof resources> =>
  resources(cluster, `${plural}.metallb.io`);

/** The address pools, by name; ranges that make no sense are left out. */
export function addressPools(cluster: Cluster): AddressPool[] {
  return all(cluster, "ipaddresspools").map(({ name, labels, spec }) => ({
    name,
    labels,
    ranges: texts(spec["addresses"]).flatMap((range): AddressPool["ranges"] => {
      const [first, last] = range.split("-").map((each) => parseIp(each.trim()));
      if (first && last) return [{ first, last }];
      const prefix = parsePrefix(range.trim());
      return prefix === null ? [] : [prefix];
    }),
  }));
}

/** The pool that an address is of; null for none. */
export function poolOf(pools: readonly AddressPool[], address: string): AddressPool | null {
  const ip = parseIp(address);
  if (ip === null) return null;
  const holds = (range: AddressPool["ranges"][number]): boolean =>
    "len" in range
      ? inPrefix(ip, range)
      : range.first.v === ip.v && compareIp(range.first, ip) <= 0 && compareIp(ip, range.last) <= 0;
  return pools.find((pool) => pool.ranges.some(holds)) ?? null;
}

/** An advertisement that names no pools and selects none is for all. */
function common(name: string, spec: Raw): Advertisement {
  const names = texts(spec["ipAddressPools"]);
  const selectors = list(spec["ipAddressPoolSelectors"]).map(object);
  return {
    name,
    pool: (pool) =>
      (names.length === 0 && selectors.length === 0) ||
      names.includes(pool.name) ||
      selectors.some((each) => selectorTakes(each, labelsOf(pool.labels))),
    node: anyOf(spec["nodeSelectors"]),
  };
}

export function l2Advertisements(cluster: Cluster): L2Advertisement[] {
  return all(cluster, "l2advertisements").map(({ name, spec }) => ({
    ...common(name, spec),
    interfaces: texts(spec["interfaces"]),
  }));
}

export function bgpAdvertisements(cluster: Cluster): BgpAdvertisement[] {
  const named = new Map(
    all(cluster, "communities").flatMap(({ spec }) =>
      list(spec["communities"]).map(
        (each) => [text(object(each)["name"]) ?? "", text(object(each)["value"]) ?? ""] as const,
      ),
    ),
  );
  return all(cluster, "bgpadvertisements").map(({ name, spec }) => ({
    ...common(name, spec),
    aggregation: { 4: whole(spec["aggregationLength"]) ?? 32, 6: whole(spec["aggregationLengthV6"]) ?? 128 },
    localPref: whole(spec["localPref"]) ?? 0,
    communities: texts(spec["communities"])
      .map((each) => (named.get(each) ?? each).replace(/^large:/, ""))
      .toSorted(),
    peers: texts(spec["peers"]),
  }));
}

/** The peers, by name; those without an address (unnumbered ones) are left out. */
export function bgpPeers(cluster: Cluster): BgpPeer[] {
  return all(cluster, "bgppeers").flatMap(({ name, spec }): BgpPeer[] => {
    const address = text(spec["peerAddress"]);
    if (address === null) return [];
    const hold = wholeSeconds(spec["holdTime"]);
    const secret = text(object(spec["passwordSecret"])["name"]) ?? (text(spec["password"]) === null ? null : name);
    return [
      {
        name,
        node: anyOf(spec["nodeSelectors"]),
        myAs: whole(spec["myASN"]) ?? 0,
        as: text(spec["dynamicASN"]) ?? String(whole(spec["peerASN"]) ?? 0),
        address,
        port: whole(spec["peerPort"]) || 179,
        source: text(spec["sourceAddress"]),
        routerId: text(spec["routerID"]),
        hold,
        keepalive: wholeSeconds(spec["keepaliveTime"]) ?? (hold === null ? null : Math.floor(hold / 3)),
        connect: wholeSeconds(spec["connectTime"]),
        multihop: spec["ebgpMultiHop"] === true,
        gracefulRestart: spec["enableGracefulRestart"] === true,
        bfd: text(spec["bfdProfile"]),
        vrf: text(spec["vrf"]) ?? "",
        dualStack: spec["dualStackAddressFamily"] === true,
        password: secret,
      },
    ];
  });
}
