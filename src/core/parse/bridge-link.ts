/** `bridge -j -d link`. */
import type { BridgePort } from "../model/link.ts";
import { bridgePort } from "./bridge-port.ts";
import { has, readRows } from "./ip-json.ts";
import { field } from "./json-lines.ts";

/**
 * The ports of a namespace's bridges, by link name. Rows without a state are of network cards that bridge in hardware
 * and are left out. Throws ParseError.
 */
export function parseBridgeLink(text: string, file: string): Map<string, BridgePort> {
  const { doc, rows } = readRows(text, file);
  const ports = new Map<string, BridgePort>();
  for (const row of rows) {
    const name = field(doc, row, "ifname", "string");
    if (has(row, "state") && !ports.has(name)) ports.set(name, bridgePort(doc, row));
  }
  return ports;
}
