/** `bridge -j -d fdb`. */
import type { FdbEntry } from "../model/link.ts";
import { address, mac, readRows, uint } from "./ip-json.ts";
import { errorAt, optional, sourceOf, strings } from "./json-lines.ts";

/** The forwarding entries of bridges and of links that keep their own (VXLAN, network cards), in order. Throws ParseError. */
export function parseBridgeFdb(text: string, file: string): FdbEntry[] {
  const { doc, rows } = readRows(text, file);
  return rows.map((row) => {
    // iproute2 before 4.18 called it `dev`.
    const dev = optional(doc, row, "ifname", "string") ?? optional(doc, row, "dev", "string");
    if (dev === null) throw errorAt(doc, row, '"ifname" is missing');
    const lladdr = mac(doc, row, "mac");
    if (lladdr === null) throw errorAt(doc, row, '"mac" is missing');
    const nhid = uint(doc, row, "nhid", 0xffffffff);
    const entry: FdbEntry = {
      mac: lladdr,
      dev,
      master: optional(doc, row, "master", "string"),
      self: strings(doc, row, "flags").includes("self"),
      dst: address(doc, row, "dst"),
      port: uint(doc, row, "port", 65535),
      vni: uint(doc, row, "vni", 0xffffff),
      via: optional(doc, row, "viaIf", "string"),
      vlan: uint(doc, row, "vlan", 4095),
      state: optional(doc, row, "state", "string") ?? "",
      source: sourceOf(doc, row),
    };
    if (nhid !== null) entry.nhid = nhid;
    return entry;
  });
}
