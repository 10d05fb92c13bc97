/** DNAT, SNAT, MASQUERADE, REDIRECT and NETMAP: the engine rewrites, the rule only says how (xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c, xt_NETMAP.c). */
import { ip4, ip6, maskWord } from "../../../model/address.ts";
import type { Ip, Prefix } from "../../../model/address.ts";
import type { Changed } from "../../../model/walk.ts";
import type { Range, XtTarget } from "../../../model/xtables.ts";
import type { NatRequest } from "../context.ts";
import { ACCEPT, DROP } from "../program.ts";
import type { Effect, EvalState } from "../program.ts";

type NatTarget = Extract<XtTarget, { t: "dnat" | "snat" }>;

/** nf_nat_setup_info's verdict. */
function done(s: EvalState, changed: Changed | null): number {
  s.changed = changed;
  return changed === null ? DROP : ACCEPT;
}

/** What DNAT and SNAT ask for (xt_dnat_target_v2, xt_snat_target_v2). */
export function natRequest(t: NatTarget): NatRequest {
  const { range } = t;
  return {
    manip: t.t === "dnat" ? "dst" : "src",
    min: range.min,
    max: range.max ?? range.min,
    minPort: range.ports?.[0] ?? null,
    maxPort: range.ports?.[1] ?? null,
    basePort: range.basePort,
    random: t.random,
    randomFully: t.randomFully,
    persistent: t.persistent,
    netmap: null,
  };
}

export function translate(t: NatTarget): Effect {
  const request = natRequest(t);
  return (s) => done(s, s.services.nat(s, request));
}

/** masquerade_tg, masquerade_tg6. */
export function masquerade(ports: Range | null, random: boolean, randomFully: boolean): Effect {
  const opts = { minPort: ports?.[0] ?? null, maxPort: ports?.[1] ?? null, random, randomFully };
  return (s) => done(s, s.services.masquerade(s, opts));
}

/** redirect_tg4, redirect_tg6. */
export function redirect(ports: Range | null, random: boolean): Effect {
  const opts = { minPort: ports?.[0] ?? null, maxPort: ports?.[1] ?? null, random, randomFully: false };
  return (s) => done(s, s.services.redirect(s, opts));
}

/** netmap_tg4, netmap_tg6: the destination before routing, the source after it; host bits stay (HOOK2MANIP). */
export function netmap(to: Prefix): Effect {
  return (s) => {
    const dst = s.hook === "prerouting" || s.hook === "output";
    const ip = withNetwork(dst ? s.pkt.dst : s.pkt.src, to);
    const request: NatRequest = {
      manip: dst ? "dst" : "src",
      min: ip,
      max: ip,
      minPort: null,
      maxPort: null,
      basePort: null,
      random: false,
      randomFully: false,
      persistent: false,
      netmap: to,
    };
    return done(s, s.services.nat(s, request));
  };
}

function withNetwork(ip: Ip, to: Prefix): Ip {
  const word = (have: number, want: number, i: number): number => {
    const mask = maskWord(to.len, i);
    return (have & ~mask) | (want & mask);
  };
  if (ip.v === 4) return ip4(word(ip.a, to.ip.a, 0));
  return ip6(word(ip.a, to.ip.a, 0), word(ip.b, to.ip.b, 1), word(ip.c, to.ip.c, 2), word(ip.d, to.ip.d, 3));
}
