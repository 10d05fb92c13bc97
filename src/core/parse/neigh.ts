/** `ip -j neigh`. */
import type { Neighbour } from "../model/link.ts";
import { address, has, mac, readRows } from "./ip-json.ts";
import { errorAt, optional, sourceOf, strings } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

function neighbour(doc: JsonDoc, row: JsonObject, state: string): Neighbour {
  const ip = address(doc, row, "dst");
  if (ip === null) throw errorAt(doc, row, '"dst" is missing');
  return {
    ip,
    dev: optional(doc, row, "dev", "string"),
    mac: mac(doc, row, "lladdr"),
    state,
    router: has(row, "router"),
    source: sourceOf(doc, row),
  };
}

/** The entries of `ip -j neigh show nud all`, both families, in order. Throws ParseError. */
export function parseNeigh(text: string, file: string): Neighbour[] {
  const { doc, rows } = readRows(text, file);
  const out: Neighbour[] = [];
  for (const row of rows) {
    // NUD_NONE is the state without a bit, printed as an empty list.
    if (!has(row, "proxy")) out.push(neighbour(doc, row, strings(doc, row, "state")[0] ?? "NONE"));
  }
  return out;
}

/** The entries of `ip -j neigh show proxy`: addresses that the kernel answers for; without `dev` on every link. Throws ParseError. */
export function parseProxyNeigh(text: string, file: string): Neighbour[] {
  const { doc, rows } = readRows(text, file);
  return rows.map((row) => neighbour(doc, row, ""));
}
