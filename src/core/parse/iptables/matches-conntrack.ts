/** Matches on the connection: conntrack, state, mark, connmark, helper. */
import type { XtMatch } from "../../model/xtables.ts";
import { protocolNumber } from "./protocols.ts";
import { U16, U32, list, prefixOrNull, range, valueMask } from "./values.ts";
import { Malformed, type Words, shorten } from "./words.ts";

const STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"];
const STATUSES = ["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"];

type Conntrack = Extract<XtMatch, { m: "conntrack" }>;

function nothing(viaState: boolean): Conntrack {
  return {
    m: "conntrack",
    viaState,
    state: null,
    status: null,
    proto: null,
    origsrc: null,
    origdst: null,
    replsrc: null,
    repldst: null,
    origsrcport: null,
    origdstport: null,
    replsrcport: null,
    repldstport: null,
    expire: null,
    dir: null,
  };
}

export function stateMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m state: expected --state");
  if (o.name !== "--state") return null;
  return { ...nothing(true), state: { not: o.not, states: list(w.value(), STATES.slice(0, 5), o.name) } };
}

export function conntrackMatch(w: Words, v6: boolean): XtMatch | null {
  const match = nothing(false);
  for (let o = w.option(); o !== null; o = w.option()) {
    const not = o.not;
    switch (o.name) {
      case "--ctstate":
        match.state = { not, states: list(w.value(), STATES, o.name) };
        break;
      case "--ctstatus":
        match.status = { not, statuses: list(w.value(), STATUSES, o.name) };
        break;
      case "--ctproto":
        match.proto = { not, proto: protocolNumber(w.value(), o.name) };
        break;
      case "--ctorigsrc":
      case "--ctorigdst":
      case "--ctreplsrc":
      case "--ctrepldst": {
        const prefix = prefixOrNull(w.value(), v6, o.name);
        if (prefix === null) return null;
        match[o.name.slice(4) as "origsrc" | "origdst" | "replsrc" | "repldst"] = { not, prefix };
        break;
      }
      case "--ctorigsrcport":
      case "--ctorigdstport":
      case "--ctreplsrcport":
      case "--ctrepldstport":
        match[o.name.slice(4) as "origsrcport" | "origdstport" | "replsrcport" | "repldstport"] = {
          not,
          range: range(w.value(), ":", U16, o.name),
        };
        break;
      case "--ctexpire":
        match.expire = { not, range: range(w.value(), ":", U32, o.name) };
        break;
      case "--ctdir": {
        const dir = w.value();
        if (not || (dir !== "ORIGINAL" && dir !== "REPLY")) {
          throw new Malformed(`--ctdir: expected ORIGINAL or REPLY, found ${shorten(dir)}`);
        }
        match.dir = dir;
        break;
      }
      default:
        return null;
    }
  }
  return match;
}

export function markMatch(m: "mark" | "connmark", w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed(`-m ${m}: expected --mark`);
  return o.name === "--mark" ? { m, not: o.not, ...valueMask(w.value(), U32, o.name) } : null;
}

export function helperMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m helper: expected --helper");
  return o.name === "--helper" ? { m: "helper", not: o.not, name: w.value() } : null;
}
