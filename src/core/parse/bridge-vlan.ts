/** `bridge -j vlan`. */
import type { VlanMembership } from "../model/link.ts";
import { isFilled, uint } from "./ip-json.ts";
import { asObject, errorAt, field, isObject, parseJson, rows, strings } from "./json-lines.ts";
import type { JsonDoc, JsonObject, JsonValue } from "./json-lines.ts";

/** Highest VLAN id (VLAN_N_VID - 1). */
const MAX_VID = 4095;

function memberships(doc: JsonDoc, parent: JsonObject, list: JsonValue | undefined): VlanMembership[] {
  if (!Array.isArray(list)) throw errorAt(doc, parent, "the VLANs of a link should be an array");
  const out: VlanMembership[] = [];
  for (const each of list) {
    const vlan = asObject(doc, list, each, "every VLAN");
    if (!isFilled(vlan)) continue;
    const first = uint(doc, vlan, "vlan", MAX_VID);
    if (first === null) throw errorAt(doc, vlan, '"vlan" is missing');
    const last = uint(doc, vlan, "vlanEnd", MAX_VID) ?? first;
    const flags = strings(doc, vlan, "flags");
    for (let vid = first; vid <= last; vid++) {
      out.push({ vid, pvid: flags.includes("PVID"), untagged: flags.includes("Egress Untagged") });
    }
  }
  return out;
}

/**
 * The VLANs of every bridge and bridge port, by link name, ranges spelled out. Reads the rows of iproute2 since 4.20
 * (`[{"ifname":"eth0","vlans":[…]}]`) and the object of older ones (`{"eth0":[…]}`). A blank file holds none. Throws ParseError.
 */
export function parseBridgeVlan(text: string, file: string): Map<string, VlanMembership[]> {
  const out = new Map<string, VlanMembership[]>();
  if (text.trim() === "") return out;
  const doc = parseJson(text, file);
  const add = (name: string, vlans: VlanMembership[]): void => {
    out.set(name, [...(out.get(name) ?? []), ...vlans]);
  };
  if (isObject(doc.value)) {
    for (const [name, list] of Object.entries(doc.value)) add(name, memberships(doc, doc.value, list));
    return out;
  }
  for (const row of rows(doc)) {
    if (isFilled(row)) add(field(doc, row, "ifname", "string"), memberships(doc, row, row["vlans"]));
  }
  return out;
}
