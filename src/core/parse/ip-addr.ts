/** `ip -j -d addr`. */
import type { BridgePort, Link, LinkAddress } from "../model/link.ts";
import { bridgePort } from "./bridge-port.ts";
import { address, flag, isFilled, joinedPrefix, mac, readRows, uint, word } from "./ip-json.ts";
import { linkKind } from "./ip-link-kind.ts";
import { errorAt, field, objects, optional, shown, sourceOf } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

/** Flags are names; what iproute2 has no name for is printed as a number. */
function linkFlags(doc: JsonDoc, row: JsonObject): string[] {
  return field(doc, row, "flags", "array").map((each) => {
    if (typeof each !== "string" && typeof each !== "number")
      throw errorAt(doc, row, `every flag should be a string, not ${shown(each)}`);
    return String(each);
  });
}

function linkAddress(doc: JsonDoc, o: JsonObject): LinkAddress | null {
  const family = field(doc, o, "family", "string");
  if (family !== "inet" && family !== "inet6") return null;
  const ip = address(doc, o, "local");
  if (ip === null) throw errorAt(doc, o, '"local" is missing');
  if (ip.v !== (family === "inet" ? 4 : 6)) throw errorAt(doc, o, `"local" is no address of family ${family}`);
  const peer = address(doc, o, "address");
  if (peer !== null && peer.v !== ip.v) throw errorAt(doc, o, `"address" is no address of family ${family}`);
  const prefixLen = uint(doc, o, "prefixlen", ip.v === 4 ? 32 : 128);
  if (prefixLen === null) throw errorAt(doc, o, '"prefixlen" is missing');
  return {
    ip,
    prefixLen,
    peer: peer === null ? null : joinedPrefix(doc, o, peer, "prefixlen"),
    scope: word(doc, o, "scope") ?? "global",
    // For IPv6 the same bit means a temporary address (RFC 8981), which is printed as `temporary` and is not skipped.
    secondary: ip.v === 4 && flag(doc, o, "secondary", false),
    // An optimistic address is used while its uniqueness is still being checked (RFC 4429, ipv6_get_saddr_eval).
    tentative: flag(doc, o, "tentative", false) && !flag(doc, o, "optimistic", false),
    deprecated: flag(doc, o, "deprecated", false),
    dadFailed: flag(doc, o, "dadfailed", false),
    noPrefixRoute: flag(doc, o, "noprefixroute", false),
    label: optional(doc, o, "label", "string"),
  };
}

/** What `ip -d` says of the link as a bridge port; null when it is none. */
function slavePort(doc: JsonDoc, row: JsonObject): BridgePort | null {
  const info = optional(doc, row, "linkinfo", "object");
  if (info === null || info["info_slave_kind"] !== "bridge") return null;
  const data = optional(doc, info, "info_slave_data", "object");
  return data === null ? null : { ...bridgePort(doc, data), source: sourceOf(doc, row) };
}

function link(doc: JsonDoc, row: JsonObject): Link {
  const flags = linkFlags(doc, row);
  const xdp = optional(doc, row, "xdp", "object");
  return {
    index: field(doc, row, "ifindex", "integer"),
    name: field(doc, row, "ifname", "string"),
    flags,
    up: flags.includes("UP"),
    carrier: flags.includes("LOWER_UP"),
    noarp: flags.includes("NOARP"),
    mtu: field(doc, row, "mtu", "integer"),
    group: groupNumber(optional(doc, row, "group", "string")),
    mac: mac(doc, row, "address"),
    kind: linkKind(doc, row),
    peerIndex: uint(doc, row, "link_index", 0x7fffffff),
    lower: optional(doc, row, "link", "string"),
    peerNetnsId: uint(doc, row, "link_netnsid", 0x7fffffff),
    master: optional(doc, row, "master", "string"),
    addresses: objects(doc, row, "addr_info")
      .filter(isFilled)
      .map((o) => linkAddress(doc, o))
      .filter((a) => a !== null),
    port: slavePort(doc, row),
    vlans: [],
    // XDP_ATTACHED_NONE is 0 and is not printed.
    xdp: xdp !== null && xdp["mode"] !== 0,
    source: sourceOf(doc, row),
  };
}

/** Gives each link the index of its lower device or veth peer in the same namespace, which is printed by name only. */
function joinLower(links: Link[]): void {
  const byName = new Map(links.map((l) => [l.name, l.index]));
  for (const l of links) {
    if (l.lower === null) continue;
    const index = byName.get(l.lower);
    // `if12` is how ll_index_to_name() prints a link that it cannot find.
    const unnamed = index === undefined ? /^if(\d+)$/.exec(l.lower) : null;
    if (l.peerIndex === null) l.peerIndex = index ?? (unnamed === null ? null : Number(unnamed[1]));
    if (unnamed !== null) l.lower = null;
  }
}

/**
 * The links of a namespace with their addresses, in the kernel's order. `port` is what `ip -d` itself says of a bridge port; `vlans` are empty:
 * both are for parseBridgeLink and parseBridgeVlan to complete. Throws ParseError.
 */
export function parseIpAddr(text: string, file: string): Link[] {
  const { doc, rows } = readRows(text, file);
  const links = rows.map((row) => link(doc, row));
  joinLower(links);
  return links;
}

/** rtnl_group_n2a: "default" is 0; groups without a name in the node's own table print as their number. */
function groupNumber(name: string | null): number | null {
  if (name === null || name === "default") return 0;
  return /^\d+$/.test(name) ? Number(name) : null;
}
