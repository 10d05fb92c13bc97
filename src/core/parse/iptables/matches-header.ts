/** Matches on fields of the IP header and the packet's size: ttl, hl, length, dscp, tos; and comment, which asks nothing. */
import type { XtMatch } from "../../model/xtables.ts";
import { U16, U8, number, range, valueMask } from "./values.ts";
import { Malformed, type Words } from "./words.ts";

export function ttlMatch(m: "ttl" | "hl", w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed(`-m ${m}: expected --${m}-eq, --${m}-lt or --${m}-gt`);
  const op = o.name.slice(3 + m.length);
  if (!o.name.startsWith(`--${m}-`) || (op !== "eq" && op !== "lt" && op !== "gt") || (o.not && op !== "eq"))
    return null;
  return { m, op: o.not ? "ne" : op, value: number(w.value(), U8, o.name) };
}

export function lengthMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m length: expected --length");
  return o.name === "--length" ? { m: "length", not: o.not, range: range(w.value(), ":", U16, o.name) } : null;
}

export function dscpMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m dscp: expected --dscp");
  return o.name === "--dscp" ? { m: "dscp", not: o.not, value: number(w.value(), 0x3f, o.name) } : null;
}

export function tosMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m tos: expected --tos");
  return o.name === "--tos" ? { m: "tos", not: o.not, ...valueMask(w.value(), U8, o.name) } : null;
}

export function commentMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m comment: expected --comment");
  return o.name === "--comment" && !o.not ? { m: "comment", text: w.value() } : null;
}
