/** `tc -j qdisc show`. */
import type { TcProgram } from "../model/namespace.ts";
import { readRows } from "./ip-json.ts";
import { field, sourceOf } from "./json-lines.ts";

/**
 * Queueing disciplines that only order, pace or delay: they lose a packet when a queue is full and never else.
 * `noop` loses everything, and is what a link has while it is down (noop_qdisc, dev_deactivate).
 */
const HARMLESS = new Set([
  "noqueue",
  "noop",
  "pfifo",
  "bfifo",
  "pfifo_fast",
  "pfifo_head_drop",
  "mq",
  "mqprio",
  "fq",
  "fq_codel",
  "fq_pie",
  "codel",
  "pie",
  "cake",
  "sfq",
  "sfb",
  "red",
  "gred",
  "choke",
  "hhf",
  "tbf",
  "skbprio",
  "cbs",
  "etf",
  "taprio",
]);

/**
 * The queueing disciplines that can drop or redirect a packet by its contents: clsact and ingress, where programs and
 * filters hang, classful ones, netem, and every kind that is not known. One entry for each link and kind. Throws ParseError.
 */
export function parseTcQdisc(text: string, file: string): TcProgram[] {
  const { doc, rows } = readRows(text, file);
  const seen = new Set<string>();
  const out: TcProgram[] = [];
  for (const row of rows) {
    const kind = field(doc, row, "kind", "string");
    const dev = field(doc, row, "dev", "string");
    const key = `${dev} ${kind}`;
    if (HARMLESS.has(kind) || seen.has(key)) continue;
    seen.add(key);
    out.push({ dev, kind, line: sourceOf(doc, row).line });
  }
  return out;
}
