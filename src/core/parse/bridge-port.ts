/** A link's state as a port of a bridge, from either place that prints it. */
import type { BridgePort } from "../model/link.ts";
import { flag, word } from "./ip-json.ts";
import { sourceOf } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

/**
 * Reads a port from a row of `bridge -j -d link` or the `info_slave_data` of `ip -j -d addr`, which use the same names.
 * What is not printed (no -d, an older kernel) is as the kernel makes a port: BR_LEARNING, BR_FLOOD, BR_MCAST_FLOOD and
 * BR_BCAST_FLOOD set, everything else clear (new_nbp).
 */
export function bridgePort(doc: JsonDoc, o: JsonObject): BridgePort {
  return {
    state: word(doc, o, "state") ?? "forwarding",
    hairpin: flag(doc, o, "hairpin", false),
    isolated: flag(doc, o, "isolated", false),
    learning: flag(doc, o, "learning", true),
    flood: flag(doc, o, "flood", true),
    mcastFlood: flag(doc, o, "mcast_flood", true),
    bcastFlood: flag(doc, o, "bcast_flood", true),
    neighSuppress: flag(doc, o, "neigh_suppress", false),
    locked: flag(doc, o, "locked", false),
    source: sourceOf(doc, o),
  };
}
