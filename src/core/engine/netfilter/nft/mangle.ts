/** `X set Y`: marks, zones and header fields (nft_meta.c, nft_ct.c, nft_payload.c). */
import { formatIp } from "../../../model/address.ts";
import type { NftJson } from "../../../model/nftables.ts";
import type { Packet, PacketType } from "../../packet.ts";
import type { Effect, EvalState } from "../program.ts";
import { BREAK, NEXT, UNSURE } from "../program.ts";
import { compileExpr } from "./expr.ts";
import { objectOf, tagged, word } from "./json.ts";
import type { NftObject } from "./json.ts";
import { payloadExpr, rawField } from "./payload.ts";
import type { RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { ValueType } from "./types.ts";
import { valueIp } from "./value.ts";
import type { Value } from "./value.ts";

/** What is done with a known value. */
type Write = (s: EvalState, value: Value) => number;

const PACKET_TYPES: readonly PacketType[] = ["host", "broadcast", "multicast", "otherhost"];

/** Compiles `{"key": …, "value": …}`; null when it changes nothing that decides the packet's way. */
export function mangleEffect(scope: RuleScope, json: NftJson): Effect | null {
  const body = objectOf(json);
  const key = tagged(body?.["key"]);
  const field = objectOf(key?.body);
  if (body === null || key === null || field === null) return unmodelled("set");
  switch (key.tag) {
    case "meta":
      return metaSet(scope, word(field, "key"), body["value"] ?? null);
    case "ct":
      return ctSet(scope, field, body["value"] ?? null);
    case "payload":
      return payloadSet(scope, field, body["value"] ?? null);
    case "tcp option":
      // The segment size does not change the way; without TCP nft_exthdr_tcp_set_eval breaks.
      return (s) => (s.pkt.proto === 6 && !s.pkt.laterFragment ? NEXT : BREAK);
    case "ip option":
    case "exthdr":
      return null;
    default:
      return unmodelled(`setting ${key.tag}`);
  }
}

const unmodelled =
  (what: string): Effect =>
  (s) => {
    s.why = `${what} is not modelled`;
    return UNSURE;
  };

/** Loads the value, then writes it. */
function assign(scope: RuleScope, type: ValueType, value: NftJson, write: Write): Effect {
  const { load } = compileExpr(scope, value, { type });
  return (s) => {
    const v = load(s);
    if (v === null) return BREAK;
    return v === undefined ? UNSURE : write(s, v);
  };
}

function metaSet(scope: RuleScope, key: string, value: NftJson): Effect | null {
  switch (key) {
    case "mark":
      return assign(scope, t.MARK, value, (s, v) => {
        if (typeof v === "number") s.pkt.mark = v >>> 0;
        return NEXT;
      });
    case "pkttype":
      return assign(scope, t.PKT_TYPE, value, (s, v) => {
        s.pkt.type = PACKET_TYPES[Number(v)] ?? s.pkt.type;
        return NEXT;
      });
    case "priority":
    case "nftrace":
    case "secmark":
      return null;
    default:
      return unmodelled(`setting meta ${key}`);
  }
}

/** nft_ct_set_eval does nothing without a connection; a zone is for packets that have none yet (nft_ct_set_zone_eval). */
function ctSet(scope: RuleScope, field: NftObject, value: NftJson): Effect | null {
  const key = word(field, "key");
  switch (key) {
    case "mark":
      return assign(scope, t.MARK, value, (s, v) => {
        if (s.pkt.ct !== null && typeof v === "number") s.pkt.ct.mark = v >>> 0;
        return NEXT;
      });
    case "zone": {
      const dir = word(field, "dir");
      const which = dir === "original" ? "orig" : dir === "reply" ? "reply" : "both";
      return assign(scope, t.INTEGER(16), value, (s, v) => {
        if (s.pkt.ct === null && typeof v === "number") s.services.setZone(s, v, which);
        return NEXT;
      });
    }
    case "label":
    case "event":
    case "secmark":
      return null;
    default:
      return unmodelled(`setting ct ${key}`);
  }
}

function setAddress(s: EvalState, side: "src" | "dst", v: Value): number {
  const ip = valueIp(v);
  if (ip === null) return NEXT;
  s.pkt[side] = ip;
  s.changed = { ...s.changed, [side]: formatIp(ip) };
  return NEXT;
}

function setPort(s: EvalState, side: "sport" | "dport", v: Value): number {
  s.pkt[side] = Number(v);
  s.changed = { ...s.changed, [side]: Number(v) };
  return NEXT;
}

const colons = (hex: Value): string => String(hex).replace(/(..)(?=.)/g, "$1:");

/** Fields by name, whatever the header: those that decide a packet's way. */
const FIELDS: Readonly<Record<string, (s: EvalState, v: Value) => number>> = {
  sport: (s, v) => setPort(s, "sport", v),
  dport: (s, v) => setPort(s, "dport", v),
  ttl: (s, v) => setTtl(s, v),
  hoplimit: (s, v) => setTtl(s, v),
  dscp: (s, v) => keep(s.pkt, "tos", (s.pkt.tos & 3) | (Number(v) << 2)),
  ecn: (s, v) => keep(s.pkt, "tos", (s.pkt.tos & ~3) | Number(v)),
  flags: (s, v) => keep(s.pkt, "tcpFlags", Number(v)),
  type: (s, v) => keep(s.pkt, "icmpType", Number(v)),
  code: (s, v) => keep(s.pkt, "icmpCode", Number(v)),
  id: (s, v) => keep(s.pkt, "icmpId", Number(v)),
};

function setTtl(s: EvalState, v: Value): number {
  s.pkt.ttl = Number(v);
  s.changed = { ...s.changed, ttl: Number(v) };
  return NEXT;
}

function keep(p: Packet, name: "tos" | "tcpFlags" | "icmpType" | "icmpCode" | "icmpId", value: number): number {
  p[name] = value;
  return NEXT;
}

/** Fields that make another packet of it. */
const DECISIVE: readonly string[] = ["protocol", "nexthdr", "version", "hdrlength", "length", "frag-off"];

function writer(protocol: string, field: string): Write | null {
  if (protocol === "ether" && (field === "saddr" || field === "daddr")) {
    return (s, v) => {
      s.pkt[field === "saddr" ? "macSrc" : "macDst"] = colons(v);
      return NEXT;
    };
  }
  if (field === "saddr") return (s, v) => setAddress(s, "src", v);
  if (field === "daddr") return (s, v) => setAddress(s, "dst", v);
  if (protocol === "ether" || protocol === "vlan" || DECISIVE.includes(field)) return () => UNSURE;
  if (protocol === "ip" && field === "id") return null;
  return Object.hasOwn(FIELDS, field) ? FIELDS[field]! : null;
}

function payloadSet(scope: RuleScope, body: NftObject, value: NftJson): Effect {
  const target = payloadExpr(scope, body);
  const raw = body["base"] !== undefined;
  const name = raw ? `@${word(body, "base")}` : `${word(body, "protocol")} ${word(body, "field")}`;
  const named = raw ? null : writer(word(body, "protocol"), word(body, "field"));
  const harmless = !raw && named === null;
  return assign(scope, target.type, value, (s, v) => {
    const at = raw ? rawField(body, s.pkt.v) : null;
    const write = at === null ? named : writer(at.protocol, at.field);
    s.why = `setting ${name} is not modelled`;
    if (write === null) return harmless ? NEXT : UNSURE;
    // Nothing to write to: later fragments have no transport header.
    if (target.load(s) === null) return BREAK;
    return write(s, v);
  });
}
