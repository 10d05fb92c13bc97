/** Statements of nftables rules in the shape in which nft lists them (libnftables-json(5)). */
import type { NftJson } from "../../model/nftables.ts";
import type { LocalTraffic } from "./local-traffic.ts";
import type { IpFamily } from "./node-ips.ts";

/** Name of the family's header and of its tables. */
export const familyName = (family: IpFamily): "ip" | "ip6" => (family === 4 ? "ip" : "ip6");

export const payload = (protocol: string, field: string): NftJson => ({ payload: { protocol, field } });
export const meta = (key: string): NftJson => ({ meta: { key } });
export const mark: NftJson = meta("mark");

export const match = (left: NftJson, right: NftJson, op = "=="): NftJson => ({ match: { op, left, right } });
export const jump = (target: string): NftJson => ({ jump: { target } });
export const goto = (target: string): NftJson => ({ goto: { target } });
export const drop: NftJson = { drop: null };

/** The source or destination address. */
export const address = (family: IpFamily, field: "saddr" | "daddr"): NftJson => payload(familyName(family), field);

/** Words of a first packet: `ct state new`. */
export const isNew: NftJson = match({ ct: { key: "state" } }, "new", "in");

/** Whether the address is one of the machine's own: `fib saddr type local`. */
export const isLocalAddress = (field: "saddr" | "daddr"): NftJson =>
  match({ fib: { result: "type", flags: [field] } }, "local");

/** A lookup of concatenated keys in a verdict map. */
export const lookup = (keys: NftJson[], map: string): NftJson => ({
  vmap: { key: { concat: keys }, data: `@${map}` },
});

/** A prefix, or the address alone when it is as long as one. `cidr` is canonical, `10.244.0.0/16`. */
export function prefixValue(cidr: string): NftJson {
  const [addr = "", len = ""] = cidr.split("/", 2);
  return Number(len) === (addr.includes(":") ? 128 : 32) ? addr : { prefix: { addr, len: Number(len) } };
}

/** What packets of the node's own pods match, or (`not`) all others (pkg/proxy/util/localdetector.go, IfLocalNFT, IfNotLocalNFT). */
export function localTrafficMatch(family: IpFamily, local: LocalTraffic, not: boolean): NftJson {
  const op = not ? "!=" : "==";
  switch (local.by) {
    case "cidr":
      return match(address(family, "saddr"), prefixValue(local.cidr), op);
    case "bridge":
      return match(meta("iifname"), local.name, op);
    case "prefix":
      return match(meta("iifname"), `${local.prefix}*`, op);
  }
}
