/** What a plugin is told by its address management: addresses, gateways, routes. */
import { formatPrefix, parseIp, parsePrefix, type Ip } from "../../model/address.ts";
import { IntentError } from "../network.ts";
import { rangeOf, rangeSets } from "./host-local.ts";
import { reader, type JsonObject } from "./json-config.ts";

export interface PodAddress {
  ip: Ip;
  /** Of the network that the address is in. */
  len: number;
  gateway: Ip | null;
}

export interface IpamRoute {
  /** `10.244.0.0/16` */
  dst: string;
  family: 4 | 6;
  gw: Ip | null;
  metric: number | null;
  table: number | null;
  scope: number | null;
}

export interface Ipam {
  /** Program that manages the addresses; "" for none (layer 2 only). */
  type: string;
  /** host-local's folder, when it is not the usual one. */
  dataDir: string | undefined;
  /** How an address of a pod was handed out; null when this cannot be known. */
  address(ip: Ip): PodAddress | null;
  /** Gateways of the ranges that pods get addresses of, as far as there is one range to each address. */
  gateways: { ip: Ip; len: number }[];
  routes: IpamRoute[];
}

function routes(ipam: JsonObject, what: string): IpamRoute[] {
  return reader(ipam, what)
    .objects("routes")
    .map((each) => {
      const o = reader(each, `${what}: routes`);
      const text = o.text("dst");
      const dst = text === null ? null : parsePrefix(text);
      if (dst === null) throw new IntentError(`${what}: "dst" is no network: ${text}`);
      return {
        dst: formatPrefix(dst),
        family: dst.ip.v,
        gw: parseIp(o.text("gw") ?? ""),
        metric: o.integer("priority"),
        table: o.integer("table"),
        scope: o.integer("scope"),
      };
    });
}

/** `static`: the configuration names the addresses themselves. */
function staticAddresses(ipam: JsonObject, what: string): PodAddress[] {
  return reader(ipam, what)
    .objects("addresses")
    .flatMap((each) => {
      const o = reader(each, `${what}: addresses`);
      const [text = "", len = ""] = (o.text("address") ?? "").split("/");
      const ip = parseIp(text);
      return ip === null || len === "" ? [] : [{ ip, len: Number(len), gateway: parseIp(o.text("gateway") ?? "") }];
    });
}

/**
 * The address management of a plugin's configuration. host-local and static are known; what others hand out is known by the pods'
 * addresses alone. Throws IntentError when the configuration makes no sense.
 */
export function ipamOf(conf: JsonObject, what: string): Ipam {
  const ipam = reader(conf, what).object("ipam") ?? {};
  const o = reader(ipam, `${what}: ipam`);
  const type = o.text("type") ?? "";
  const common = { type, dataDir: o.text("dataDir") ?? undefined, routes: routes(ipam, `${what}: ipam`) };
  if (type === "host-local") {
    const sets = rangeSets(ipam, `${what}: ipam`);
    return {
      ...common,
      address(ip) {
        const found = rangeOf(sets, ip);
        return found === null ? null : { ip, len: found.subnet.len, gateway: found.gateway };
      },
      gateways: sets.filter((set) => set.length === 1).map((set) => ({ ip: set[0]!.gateway, len: set[0]!.subnet.len })),
    };
  }
  const known = type === "static" ? staticAddresses(ipam, `${what}: ipam`) : [];
  return {
    ...common,
    address: (ip) => known.find((each) => each.ip.key === ip.key && each.ip.v === ip.v) ?? null,
    gateways: known.flatMap((each) => (each.gateway === null ? [] : [{ ip: each.gateway, len: each.len }])),
  };
}
