/** `ip -j -d -4 route show table all`, `ip -j -d -6 route show table all`. */
import type { NextHop, Route, RouteType } from "../model/route.ts";
import { address, has, isFilled, prefix, readRows, uint, word } from "./ip-json.ts";
import { dsField, tableNumber } from "./ip-names.ts";
import { errorAt, isObject, objects, optional, shown, sourceOf } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";
import { readNextHop, repeatedNames, resolveNexthop } from "./nexthop.ts";
import type { NextHopObject } from "./nexthop.ts";

const TYPES: ReadonlySet<string> = new Set<RouteType>([
  "unicast",
  "local",
  "broadcast",
  "multicast",
  "anycast",
  "unreachable",
  "prohibit",
  "blackhole",
  "throw",
]);

const isRouteType = (s: string): s is RouteType => TYPES.has(s);

/** Types that end the lookup without a next hop; IPv6 prints `dev lo` with them (ip6_route_info_create). */
const WITHOUT_NEXT_HOP: ReadonlySet<RouteType> = new Set(["unreachable", "prohibit", "blackhole", "throw"]);

/** IP6_RT_PRIO_USER: what the kernel gives an IPv6 route without a metric. */
const METRIC6 = 1024;

function nextHops(
  doc: JsonDoc,
  row: JsonObject,
  type: RouteType,
  nhid: number | null,
  objectsById: ReadonlyMap<number, NextHopObject>,
): NextHop[] {
  if (WITHOUT_NEXT_HOP.has(type)) return [];
  const list = objects(doc, row, "nexthops").filter(isFilled);
  if (list.length > 0) return list.map((each) => readNextHop(doc, each));
  if (has(row, "gateway") || has(row, "via") || has(row, "dev")) return [readNextHop(doc, row)];
  if (nhid === null || nhid === 0) return [];
  // With net.ipv4.nexthop_compat_mode=0 the kernel prints the number alone (fib_dump_info, rt6_fill_node).
  const info = row["nh_info"];
  if (!objectsById.has(nhid) && isObject(info) && !has(info, "group")) return [readNextHop(doc, info)];
  return resolveNexthop(doc, row, nhid, objectsById);
}

function route(doc: JsonDoc, row: JsonObject, family: 4 | 6, objectsById: ReadonlyMap<number, NextHopObject>): Route {
  const type = optional(doc, row, "type", "string") ?? "unicast";
  if (!isRouteType(type)) throw errorAt(doc, row, `unknown route type ${shown(type)}`);
  const dst = prefix(doc, row, "dst", family);
  if (dst === null) throw errorAt(doc, row, '"dst" is missing');
  const tosName = word(doc, row, "tos");
  const tos = tosName === null ? 0 : dsField(tosName);
  if (tos === null) throw errorAt(doc, row, `unknown DS field ${shown(tosName)}`);
  const metrics = objects(doc, row, "metrics").find((m) => has(m, "mtu"));
  const nhid = uint(doc, row, "nhid", 0xffffffff);
  return {
    dst,
    type,
    table: tableNumber(word(doc, row, "table") ?? "main"),
    protocol: word(doc, row, "protocol") ?? "boot",
    scope: word(doc, row, "scope") ?? "global",
    metric: uint(doc, row, "metric", 0xffffffff) ?? (family === 6 ? METRIC6 : 0),
    tos,
    prefSrc: address(doc, row, "prefsrc"),
    mtu: metrics === undefined ? null : uint(doc, metrics, "mtu", 0xffffffff),
    // `mtu lock` is printed as text only: JSON has no word for it (print_rta_metrics).
    mtuLock: false,
    from: prefix(doc, row, "from", family),
    nexthops: nextHops(doc, row, type, nhid, objectsById),
    nhid,
    pref: word(doc, row, "pref"),
    source: sourceOf(doc, row),
  };
}

/**
 * The routes of one family, of every table, in the kernel's order. `nexthops` are the namespace's next hop objects.
 * Exceptions that the kernel cached (RTM_F_CLONED) are left out. Throws ParseError, also when a route names a next hop object that is
 * neither printed with it nor among `nexthops`.
 */
export function parseIpRoute(
  text: string,
  file: string,
  family: 4 | 6,
  nexthops: ReadonlyMap<number, NextHopObject>,
): Route[] {
  const { doc, rows } = readRows(text, file, repeatedNames(text));
  return rows.filter((row) => !has(row, "cache")).map((row) => route(doc, row, family, nexthops));
}
