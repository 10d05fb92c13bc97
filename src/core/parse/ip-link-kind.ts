/** `linkinfo` of `ip -j -d addr`: what only one kind of link has. */
import type { LinkKind } from "../model/link.ts";
import { flag, tunnelEnd, uint, word } from "./ip-json.ts";
import { tableNumber } from "./ip-names.ts";
import { errorAt, optional } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

function vxlan(doc: JsonDoc, o: JsonObject): LinkKind {
  const external = flag(doc, o, "external", false);
  return {
    kind: "vxlan",
    id: external ? null : uint(doc, o, "id", 0xffffff),
    local: tunnelEnd(doc, o, "local") ?? tunnelEnd(doc, o, "local6"),
    remote:
      tunnelEnd(doc, o, "remote") ??
      tunnelEnd(doc, o, "remote6") ??
      tunnelEnd(doc, o, "group") ??
      tunnelEnd(doc, o, "group6"),
    link: optional(doc, o, "link", "string"),
    // vxlan_port: what the module takes without a port.
    port: uint(doc, o, "port", 65535) ?? 8472,
    learning: flag(doc, o, "learning", !external),
    l2miss: flag(doc, o, "l2miss", false),
    l3miss: flag(doc, o, "l3miss", false),
    proxy: flag(doc, o, "proxy", false),
    external,
    // Not printed when the outer header inherits it.
    ttl: uint(doc, o, "ttl", 255) ?? 0,
    df: optional(doc, o, "df", "string") ?? "unset",
  };
}

type IpTunnelKind = "ipip" | "gre" | "gretap" | "sit" | "ip6tnl" | "ip6gre";

/** With `external` nothing else is printed (iptunnel_print_opt, gre_print_opt, ip6tunnel_print_opt). */
function ipTunnel(doc: JsonDoc, o: JsonObject, kind: IpTunnelKind): LinkKind {
  return {
    kind,
    local: tunnelEnd(doc, o, "local"),
    remote: tunnelEnd(doc, o, "remote"),
    ttl: uint(doc, o, "ttl", 255) ?? 0,
    link: optional(doc, o, "link", "string"),
    external: flag(doc, o, "external", false),
    // IPv6 tunnels have no such switch: IPv6 routers never fragment (RFC 8200 §5).
    pmtudisc: flag(doc, o, "pmtudisc", true),
  };
}

function ipvlanFlags(doc: JsonDoc, o: JsonObject): string {
  for (const name of ["private", "vepa", "bridge"]) if (flag(doc, o, name, false)) return name;
  return optional(doc, o, "mode_flag", "string") ?? "bridge";
}

function required<T>(doc: JsonDoc, o: JsonObject, value: T | null, name: string): T {
  if (value === null) throw errorAt(doc, o, `"${name}" is missing`);
  return value;
}

function ofData(doc: JsonDoc, name: string, o: JsonObject): LinkKind {
  switch (name) {
    case "bridge":
      return {
        kind: "bridge",
        vlanFiltering: flag(doc, o, "vlan_filtering", false),
        // Not printed by a kernel without VLAN filtering, where every frame is untagged.
        defaultPvid: uint(doc, o, "vlan_default_pvid", 4095) ?? 0,
        nfCallIptables: flag(doc, o, "nf_call_iptables", false),
        nfCallIp6tables: flag(doc, o, "nf_call_ip6tables", false),
      };
    case "vxlan":
      return vxlan(doc, o);
    case "ipip":
    case "gre":
    case "gretap":
    case "sit":
    case "ip6tnl":
    case "ip6gre":
      return ipTunnel(doc, o, name);
    case "geneve":
      return {
        kind: "geneve",
        id: uint(doc, o, "id", 0xffffff),
        remote: tunnelEnd(doc, o, "remote") ?? tunnelEnd(doc, o, "remote6"),
        // GENEVE_UDP_PORT; not printed beside `external` by older iproute2.
        port: uint(doc, o, "port", 65535) ?? 6081,
        external: flag(doc, o, "external", false),
        ttl: uint(doc, o, "ttl", 255) ?? 0,
      };
    case "macvlan":
    case "macvtap":
      return { kind: name, mode: required(doc, o, optional(doc, o, "mode", "string"), "mode") };
    case "ipvlan":
      return {
        kind: "ipvlan",
        mode: required(doc, o, optional(doc, o, "mode", "string"), "mode"),
        flags: ipvlanFlags(doc, o),
      };
    case "vlan":
      return {
        kind: "vlan",
        id: required(doc, o, uint(doc, o, "id", 4095), "id"),
        protocol: optional(doc, o, "protocol", "string") ?? "802.1Q",
      };
    case "vrf":
      return { kind: "vrf", table: tableNumber(required(doc, o, word(doc, o, "table"), "table")) };
    case "bond":
      return { kind: "bond", mode: required(doc, o, optional(doc, o, "mode", "string"), "mode") };
    default:
      return { kind: "other", name };
  }
}

/**
 * The kind of a link. Without `linkinfo` it is what its link-layer type says. Kinds that kubewalk does not know, and kinds whose details
 * this iproute2 could not print, are `other`. Throws ParseError.
 */
export function linkKind(doc: JsonDoc, row: JsonObject): LinkKind {
  const info = optional(doc, row, "linkinfo", "object");
  const name = info === null ? null : optional(doc, info, "info_kind", "string");
  if (info === null || name === null) {
    const type = optional(doc, row, "link_type", "string");
    if (type === "loopback") return { kind: "loopback" };
    return type === "ether" ? { kind: "ethernet" } : { kind: "other", name: type ?? "unknown" };
  }
  switch (name) {
    case "veth":
    case "dummy":
    case "wireguard":
    case "tun":
    case "ifb":
      return { kind: name };
    default: {
      const data = optional(doc, info, "info_data", "object");
      return data === null ? { kind: "other", name } : ofData(doc, name, data);
    }
  }
}
