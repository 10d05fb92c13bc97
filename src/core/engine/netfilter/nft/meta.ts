/** nft's `meta` expression (nft_meta_get_eval). */
import type { RuleDevice } from "../context.ts";
import type { EvalState } from "../program.ts";
import { arphrd, linkKind } from "./device.ts";
import { wholeLength } from "./payload.ts";
import { plain, unknown } from "./scope.ts";
import type { Expr, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { ValueType } from "./types.ts";
import type { Load, Loaded } from "./value.ts";

type Side = (s: EvalState) => RuleDevice | null;
const input: Side = (s) => s.iif;
const output: Side = (s) => s.oif;

/** A property of a device; NFT_BREAK when the hook has none. */
const ofDevice =
  (side: Side, read: (dev: RuleDevice, s: EvalState) => Loaded): Load =>
  (s) => {
    const dev = side(s);
    return dev === null ? null : read(dev, s);
  };

function typeOfDevice(dev: RuleDevice, s: EvalState): Loaded {
  const type = arphrd(dev);
  if (type === undefined) s.why = `the hardware type of ${dev.name} is not known`;
  return type;
}

const PACKET_TYPES = { host: 0, broadcast: 1, multicast: 2, otherhost: 3 } as const;

/** Owner of the sending socket: nft_meta_get_eval_skugid breaks without a full socket that has a file, which the kernel's own have not. */
const owner =
  (id: "uid" | "gid"): Load =>
  (s) => {
    const value = s.pkt[id];
    if (value !== null) return value | 0;
    if (s.pkt.socket !== "program") return null;
    s.why = `the owner of the packet's socket is not known`;
    return undefined;
  };

/** A property of a socket that no snapshot tells; NFT_BREAK without one. */
const ofSocket =
  (name: string): Load =>
  (s) => {
    if (s.pkt.uid === null && s.pkt.socket === null) return null;
    s.why = `${name} is not known`;
    return undefined;
  };

/** NFPROTO_* of the hook that runs: nft_pf. */
const NFPROTO = { ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;

function nfproto(scope: RuleScope): Load {
  const family = scope.table.family;
  if (family === "inet") return (s) => (s.pkt.v === 4 ? 2 : 10);
  const value = NFPROTO[family];
  return () => value;
}

/** The name of a hook's device: the empty string when there is none (nft_meta_store_ifname). */
const nameOf =
  (side: Side): Load =>
  (s) =>
    side(s)?.name ?? "";

/** Its index: 0 when there is none (nft_meta_store_ifindex). */
const indexOf =
  (side: Side): Load =>
  (s) =>
    side(s)?.name ?? "#0";

const fromPacket: Readonly<Record<string, readonly [type: ValueType, load: Load, key?: Expr["key"]]>> = {
  length: [t.HOST_INTEGER, wholeLength],
  protocol: [t.ETHER_TYPE, (s) => (s.pkt.arp !== null ? 0x0806 : s.pkt.v === 4 ? 0x0800 : 0x86dd)],
  l4proto: [t.PROTO, (s) => s.pkt.proto, "proto"],
  mark: [t.MARK, (s) => s.pkt.mark | 0, "mark"],
  pkttype: [t.PKT_TYPE, (s) => PACKET_TYPES[s.pkt.type]],
  skuid: [t.HOST_INTEGER, owner("uid")],
  skgid: [t.HOST_INTEGER, owner("gid")],
  cgroup: [t.HOST_INTEGER, ofSocket("meta cgroup")],
  iif: [t.IFACE, indexOf(input), "iif"],
  oif: [t.IFACE, indexOf(output), "oif"],
  iifname: [t.IFNAME, nameOf(input), "iif"],
  oifname: [t.IFNAME, nameOf(output), "oif"],
  iifgroup: [t.DEVGROUP, ofDevice(input, (dev) => dev.group)],
  oifgroup: [t.DEVGROUP, ofDevice(output, (dev) => dev.group)],
  iiftype: [t.IFACE_TYPE, ofDevice(input, typeOfDevice)],
  oiftype: [t.IFACE_TYPE, ofDevice(output, typeOfDevice)],
  iifkind: [t.IFNAME, ofDevice(input, linkKind)],
  oifkind: [t.IFNAME, ofDevice(output, linkKind)],
  // nft_meta_bridge.c: the bridge that the port belongs to.
  ibrname: [t.IFNAME, ofDevice(input, (dev) => dev.masterName)],
  obrname: [t.IFNAME, ofDevice(output, (dev) => dev.masterName)],
};

/** Values of these names differ from run to run, or are set by what no snapshot shows; their types are for printing only. */
const NOT_KNOWN: Readonly<Record<string, ValueType>> = {
  priority: t.HOST_INTEGER,
  nftrace: t.BOOLEAN,
  rtclassid: t.REALM,
  cpu: t.HOST_INTEGER,
  secmark: t.HOST_INTEGER,
  time: t.HOST_INTEGER,
  day: t.HOST_INTEGER,
  hour: t.HOST_INTEGER,
  secpath: t.BOOLEAN,
  ipsec: t.BOOLEAN,
  sdif: t.IFACE,
  sdifname: t.IFNAME,
  ibrpvid: t.INTEGER(16),
  ibrvproto: t.ETHER_TYPE,
};

const ALIASES: Readonly<Record<string, string>> = {
  ibriport: "ibrname",
  obriport: "obrname",
  ibridgename: "ibrname",
  obridgename: "obrname",
  protocol: "protocol",
};

/** `{"meta": {"key": …}}`. */
export function metaExpr(scope: RuleScope, printed: string): Expr {
  const key = Object.hasOwn(ALIASES, printed) ? ALIASES[printed]! : printed;
  if (key === "nfproto") return plain(t.NF_PROTO, nfproto(scope));
  // get_random_u32_below's whole range, each value as likely as the others.
  if (key === "random") return chanceExpr();
  const known = Object.hasOwn(fromPacket, key) ? fromPacket[key] : undefined;
  if (known !== undefined) return plain(known[0], known[1], known[2] ?? null);
  const type = Object.hasOwn(NOT_KNOWN, key) ? NOT_KNOWN[key]! : t.HOST_INTEGER;
  return unknown(`meta ${key} is not known`, type);
}

const chanceExpr = (): Expr => ({
  type: t.HOST_INTEGER,
  load: (s) => {
    s.why = "meta random is a new number for every packet";
    return undefined;
  },
  asks: false,
  chance: { mod: 0x100000000, offset: 0 },
  key: null,
});
