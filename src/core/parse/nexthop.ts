/** `ip -j nexthop`: next hop objects, which routes and VXLAN forwarding entries name by number. */
import type { Ip } from "../model/address.ts";
import type { NextHop, RouteEncap } from "../model/route.ts";
import type { Source } from "../model/source.ts";
import { address, has, readRows, uint } from "./ip-json.ts";
import { asObject, errorAt, field, objects, optional, sourceOf, strings } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

/** A next hop object, or a group of them. */
export interface NextHopObject {
  id: number;
  /** What a single one does; null for a group. */
  hop: NextHop | null;
  /** Members and weights of a group; empty for a single one. */
  group: { id: number; weight: number }[];
  blackhole: boolean;
  /** For VXLAN forwarding entries, not for routes. */
  fdb: boolean;
  /** A resilient group: weights give the share of its buckets, flows stay where they are while the group changes. */
  resilient: boolean;
  source: Source;
}

/**
 * Names that an encapsulation prints again within the route or next hop that has it (`"dst":"10.0.0.0/8","encap":"ip","id":42,"dst":"192.0.2.1"`):
 * the first is the route's or the next hop's own (lwt_print_encap comes after it).
 */
const REPEATED = ["dst", "id"];

/** `keepFirst` for a file of routes or next hops: nothing repeats without an encapsulation. */
export function repeatedNames(text: string): readonly string[] {
  return text.includes('"encap"') ? REPEATED : [];
}

/** The gateway, of its route's own family (`gateway`) or of the other (`via`, RFC 5549); null when there is none. */
function gateway(doc: JsonDoc, o: JsonObject): Ip | null {
  const via = o["via"];
  return via === undefined ? address(doc, o, "gateway") : address(doc, asObject(doc, o, via, '"via"'), "host");
}

/** Reads the fields of one next hop from a route, an element of its `nexthops`, or a next hop object. */
export function readNextHop(doc: JsonDoc, o: JsonObject): NextHop {
  const flags = strings(doc, o, "flags");
  const type = optional(doc, o, "encap", "string");
  const encap: RouteEncap = type === null ? null : { type };
  return {
    gateway: gateway(doc, o),
    dev: optional(doc, o, "dev", "string"),
    weight: uint(doc, o, "weight", 65536) ?? 1,
    onlink: flags.includes("onlink"),
    dead: flags.includes("dead"),
    linkdown: flags.includes("linkdown"),
    encap,
  };
}

/** Next hop objects and groups by id. Throws ParseError. */
export function parseNexthop(text: string, file: string): Map<number, NextHopObject> {
  const { doc, rows } = readRows(text, file, repeatedNames(text));
  const out = new Map<number, NextHopObject>();
  for (const row of rows) {
    const id = field(doc, row, "id", "integer");
    const group = objects(doc, row, "group").map((m) => ({
      id: field(doc, m, "id", "integer"),
      // Printed only when it is not 1 (print_nh_group).
      weight: uint(doc, m, "weight", 65536) ?? 1,
    }));
    out.set(id, {
      id,
      hop: group.length > 0 ? null : readNextHop(doc, row),
      group,
      blackhole: has(row, "blackhole"),
      fdb: has(row, "fdb"),
      resilient: row["type"] === "resilient",
      source: sourceOf(doc, row),
    });
  }
  return out;
}

/**
 * The next hops of object `id`, weights of its group applied; empty for a blackhole. `row` is the route that names it.
 * Throws ParseError at the route when the object, or a member of the group, is not among `nexthops`.
 */
export function resolveNexthop(
  doc: JsonDoc,
  row: JsonObject,
  id: number,
  nexthops: ReadonlyMap<number, NextHopObject>,
): NextHop[] {
  const single = (member: number, weight: number): NextHop[] => {
    const object = nexthops.get(member);
    if (object === undefined) throw errorAt(doc, row, `next hop object ${member} is not recorded`);
    return object.blackhole || object.hop === null ? [] : [{ ...object.hop, weight }];
  };
  const object = nexthops.get(id);
  if (object === undefined || object.group.length === 0) return single(id, 1);
  return object.group.flatMap((m) => single(m.id, m.weight));
}
