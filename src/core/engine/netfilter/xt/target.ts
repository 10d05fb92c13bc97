/** Every target of iptables and ip6tables as effects. */
import type { Source } from "../../../model/source.ts";
import type { XtTarget } from "../../../model/xtables.ts";
import { templateOf } from "../../template.ts";
import { ACCEPT, DROP, GOTO, JUMP, NEXT, QUEUE, REJECT, RETURN, UNSURE } from "../program.ts";
import type { Effect, EvalState } from "../program.ts";
import type { XtEnv } from "./env.ts";
import { touch } from "./recent.ts";
import { masquerade, netmap, redirect, translate } from "./target-nat.ts";

const accept: Effect = () => ACCEPT;
const drop: Effect = () => DROP;
const back: Effect = () => RETURN;
const queue: Effect = () => QUEUE;

/** Effects of a target; none for one that lets the packet go on as it is. `source` is the rule's, for what is not known of it. */
export function compileTarget(t: XtTarget, env: XtEnv, source: Source): readonly Effect[] {
  switch (t.t) {
    case "none":
    case "side-effect":
    // What these change decides nothing: MSS and priority are not modelled, and a copy goes its own way.
    case "tcpmss":
    case "classify":
    case "tee":
      return [];
    case "accept":
      return [accept];
    case "drop":
      return [drop];
    case "return":
      return [back];
    case "queue":
      return [queue];
    case "jump":
    case "goto":
      return [leadTo(t.t, t.chain, env)];
    case "reject":
      return [reject(t.with)];
    case "mark":
      return [setMark(t.value, t.mask)];
    case "connmark-set":
      return [setConnmark(t.value, t.mask)];
    case "connmark-save":
      return [saveConnmark(t.nfmask, t.ctmask)];
    case "connmark-restore":
      return [restoreConnmark(t.nfmask, t.ctmask)];
    case "dnat":
    case "snat":
      return [translate(t)];
    case "masquerade":
      return [masquerade(t.ports, t.random, t.randomFully)];
    case "redirect":
      return [redirect(t.ports, t.random)];
    case "netmap":
      return [netmap(t.to)];
    case "notrack":
      return [notrack];
    case "ct":
      return t.notrack ? [notrack] : ctTemplate(t);
    case "tproxy":
      return [tproxy(t, source)];
    case "set":
      return t.op === "map" ? [unsure("what SET --map-set finds is not recorded")] : [touch(env.sets.tag(t.set))];
    case "dscp":
      return [setTos(t.value << 2, 0xfc)];
    case "tos":
      return [setTos(t.value, t.mask)];
    case "ttl":
      return [setTtl(t.op, t.value)];
    case "unmodelled":
      return [unsure(`target ${t.name} is not modelled`)];
  }
}

function unsure(why: string): Effect {
  return (s) => {
    s.why = why;
    return UNSURE;
  };
}

function leadTo(how: "jump" | "goto", name: string, env: XtEnv): Effect {
  const chain = env.chain(name);
  if (chain === null) return unsure(`the chain ${name} was not recorded`);
  const code = how === "jump" ? JUMP : GOTO;
  return (s) => {
    s.target = chain;
    return code;
  };
}

/** reject_tg, reject_tg6: the answer is sent, the packet is dropped. */
function reject(how: string): Effect {
  return (s) => {
    s.rejectWith = how;
    return REJECT;
  };
}

/** mark_tg (xt_mark.c). */
function setMark(value: number, mask: number): Effect {
  const keep = ~mask;
  return (s) => {
    s.pkt.mark = ((s.pkt.mark & keep) ^ value) >>> 0;
    return NEXT;
  };
}

/** connmark_tg_shift (xt_connmark.c), XT_CONNMARK_SET; without a connection nothing happens. */
function setConnmark(value: number, mask: number): Effect {
  return (s) => {
    const ct = s.pkt.ct;
    if (ct !== null) ct.mark = ((ct.mark & ~mask) ^ value) >>> 0;
    return NEXT;
  };
}

/** XT_CONNMARK_SAVE. */
function saveConnmark(nfmask: number, ctmask: number): Effect {
  return (s) => {
    const ct = s.pkt.ct;
    if (ct !== null) ct.mark = ((ct.mark & ~ctmask) ^ (s.pkt.mark & nfmask)) >>> 0;
    return NEXT;
  };
}

/** XT_CONNMARK_RESTORE. */
function restoreConnmark(nfmask: number, ctmask: number): Effect {
  return (s) => {
    const ct = s.pkt.ct ?? templateOf(s.pkt);
    if (ct !== null) s.pkt.mark = ((s.pkt.mark & ~nfmask) ^ (ct.mark & ctmask)) >>> 0;
    return NEXT;
  };
}

/** xt_ct_target: what already has a connection or a template is left alone ("previously seen (loopback)? Ignore"). */
function isSeen(s: EvalState): boolean {
  return s.pkt.ct !== null || s.pkt.ctInfo !== "none" || s.pkt.orphan;
}

const notrack: Effect = (s) => {
  if (!isSeen(s)) s.services.notrack(s);
  return NEXT;
};

function ctTemplate(t: Extract<XtTarget, { t: "ct" }>): readonly Effect[] {
  const { zone, zoneFromMark } = t;
  const dir = t.zoneDir ?? "both";
  return [
    (s) => {
      // NF_CT_FLAG_MARK: the zone is the mark (nf_ct_zone_tmpl).
      if (!isSeen(s)) s.services.setZone(s, zoneFromMark ? s.pkt.mark & 0xffff : (zone ?? 0), dir);
      return NEXT;
    },
  ];
}

/** tproxy_tg4, tproxy_tg6_v1: mark and accept when there is a socket to take the packet, else drop. */
function tproxy(t: Extract<XtTarget, { t: "tproxy" }>, source: Source): Effect {
  return (s) => {
    const taken = s.services.tproxy(s, t.ip, t.port);
    if (taken === false) return DROP;
    if (taken === "unknown") {
      const why = "whether a socket takes the packet from TPROXY is not recorded";
      if (!s.oracle.unknown(why, source)) return DROP;
      s.pkt.socket = "program";
      s.pkt.tproxied = { ip: t.ip ?? s.pkt.dst, port: t.port === 0 ? s.pkt.dport : t.port };
    }
    s.pkt.mark = ((s.pkt.mark & ~t.mask) ^ t.value) >>> 0;
    return ACCEPT;
  };
}

/** dscp_tg, tos_tg (xt_DSCP.c). */
function setTos(value: number, mask: number): Effect {
  return (s) => {
    s.pkt.tos = ((s.pkt.tos & ~mask) ^ value) & 0xff;
    return NEXT;
  };
}

/** ttl_tg, hl_tg6 (xt_HL.c): at most 255, at least 0. */
function setTtl(op: "set" | "inc" | "dec", value: number): Effect {
  return (s) => {
    const before = s.pkt.ttl;
    const after = op === "set" ? value : op === "inc" ? Math.min(255, before + value) : Math.max(0, before - value);
    if (after !== before) {
      s.pkt.ttl = after;
      s.changed = { ttl: after };
    }
    return NEXT;
  };
}
