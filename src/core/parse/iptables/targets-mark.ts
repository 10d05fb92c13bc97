/** Targets that change marks and fields: MARK, CONNMARK, CT, TCPMSS, DSCP, TOS, TTL, HL, CLASSIFY. */
import type { XtTarget } from "../../model/xtables.ts";
import { U16, U32, U8, number, valueMask } from "./values.ts";
import { Malformed, type Option, type Words, shorten } from "./words.ts";

interface ValueMask {
  value: number;
  mask: number;
}

/**
 * `--set-xmark` and the forms that mean the same (mark_tg_parse of libxt_MARK.c, connmark_tg_parse of libxt_CONNMARK.c), for a
 * field of `max` ones: new = (old & ~mask) ^ value. Null when `o` is none of them.
 */
function setForm(o: Option, kind: string, w: Words, max: number): ValueMask | null {
  switch (o.name) {
    case `--set-x${kind}`:
      return valueMask(w.value(), max, o.name);
    case `--set-${kind}`: {
      const { value, mask } = valueMask(w.value(), max, o.name);
      return { value, mask: (mask | value) >>> 0 };
    }
    case `--and-${kind}`:
      return { value: 0, mask: (max & ~number(w.value(), max, o.name)) >>> 0 };
    case `--or-${kind}`: {
      const value = number(w.value(), max, o.name);
      return { value, mask: value };
    }
    case `--xor-${kind}`:
      return { value: number(w.value(), max, o.name), mask: 0 };
    default:
      return null;
  }
}

export function markTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j MARK: expected --set-xmark or --set-mark");
  const set = o.not ? null : setForm(o, "mark", w, U32);
  return set === null ? null : { t: "mark", ...set };
}

export function connmarkTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j CONNMARK: expected --set-xmark, --save-mark or --restore-mark");
  if (o.not) return null;
  if (o.name !== "--save-mark" && o.name !== "--restore-mark") {
    const set = setForm(o, "mark", w, U32);
    return set === null ? null : { t: "connmark-set", ...set };
  }
  let nfmask = U32;
  let ctmask = U32;
  for (let each = w.option(); each !== null; each = w.option()) {
    if (each.not) return null;
    if (each.name === "--nfmask") nfmask = number(w.value(), U32, each.name);
    else if (each.name === "--ctmask") ctmask = number(w.value(), U32, each.name);
    else if (each.name === "--mask") nfmask = ctmask = number(w.value(), U32, each.name);
    else return null;
  }
  return { t: o.name === "--save-mark" ? "connmark-save" : "connmark-restore", nfmask, ctmask };
}

/** CT's events and time-out policy stay words: they decide nothing about a packet's path. */
export function ctTarget(w: Words): XtTarget | null {
  const target = {
    t: "ct" as const,
    notrack: false,
    zone: null as number | null,
    zoneDir: null as "orig" | "reply" | null,
    zoneFromMark: false,
    helper: null as string | null,
    words: [] as string[],
  };
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    switch (o.name) {
      case "--notrack":
        target.notrack = true;
        break;
      case "--helper":
        target.helper = w.value();
        break;
      case "--zone":
      case "--zone-orig":
      case "--zone-reply": {
        if (target.zone !== null || target.zoneFromMark)
          throw new Malformed("-j CT: expected one of --zone, --zone-orig, --zone-reply");
        const zone = w.value();
        target.zoneDir = o.name === "--zone" ? null : o.name === "--zone-orig" ? "orig" : "reply";
        target.zoneFromMark = zone === "mark";
        target.zone = zone === "mark" ? null : number(zone, U16, o.name);
        break;
      }
      case "--timeout":
      case "--ctevents":
      case "--expevents":
        target.words.push(...w.raw(o));
        break;
      default:
        return null;
    }
  }
  return target;
}

export function tcpmssTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j TCPMSS: expected --set-mss or --clamp-mss-to-pmtu");
  if (o.not) return null;
  if (o.name === "--clamp-mss-to-pmtu") return { t: "tcpmss", clamp: true, mss: null };
  return o.name === "--set-mss" ? { t: "tcpmss", clamp: false, mss: number(w.value(), U16, o.name) } : null;
}

export function dscpTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j DSCP: expected --set-dscp");
  return o.name === "--set-dscp" && !o.not ? { t: "dscp", value: number(w.value(), 0x3f, o.name) } : null;
}

export function tosTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j TOS: expected --set-tos");
  if (o.not) return null;
  // In TOS, --set-tos itself is printed with value and mask (tostg_save of libxt_TOS.c) and means what MARK calls --set-xmark.
  const set = o.name === "--set-tos" ? valueMask(w.value(), U8, o.name) : setForm(o, "tos", w, U8);
  return set === null ? null : { t: "tos", ...set };
}

export function ttlTarget(name: "TTL" | "HL", w: Words): XtTarget | null {
  const prefix = `--${name.toLowerCase()}-`;
  const o = w.option();
  if (o === null) throw new Malformed(`-j ${name}: expected ${prefix}set, ${prefix}inc or ${prefix}dec`);
  const op = o.name.slice(prefix.length);
  if (o.not || !o.name.startsWith(prefix) || (op !== "set" && op !== "inc" && op !== "dec")) return null;
  const value = number(w.value(), U8, o.name);
  return name === "HL" ? { t: "ttl", v6: true, op, value } : { t: "ttl", op, value };
}

export function classifyTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j CLASSIFY: expected --set-class");
  if (o.name !== "--set-class" || o.not) return null;
  const text = w.value();
  if (!/^[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}$/.test(text)) {
    throw new Malformed(`--set-class: expected MAJOR:MINOR in hex, found ${shorten(text)}`);
  }
  return { t: "classify", class: text };
}
