/** nft's `ct` expression (nft_ct_get_eval). */
import type { Connection } from "../../connection.ts";
import { ICMP, IPV6_ICMP } from "../../packet.ts";
import { ctStateBit } from "../ct-state.ts";
import type { EvalState } from "../program.ts";
import { word } from "./json.ts";
import type { NftObject } from "./json.ts";
import { plain } from "./scope.ts";
import type { Expr, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { Load, Loaded } from "./value.ts";

const state: Load = (s) => ctStateBit(s.pkt);

/** ct->status in bits of enum ip_conntrack_status. */
function status(ct: Connection): number {
  return (
    (ct.expected ? 0x1 : 0) |
    (ct.seenReply ? 0x2 : 0) |
    (ct.assured ? 0x4 : 0) |
    (ct.confirmed ? 0x8 : 0) |
    (ct.srcNat ? 0x10 : 0) |
    (ct.dstNat ? 0x20 : 0) |
    (ct.srcNatDone ? 0x80 : 0) |
    (ct.dstNatDone ? 0x100 : 0)
  );
}

/** A property of the connection; NFT_BREAK when the packet has none. */
const ofConnection =
  (read: (ct: Connection, s: EvalState) => Loaded): Load =>
  (s) =>
    s.pkt.ct === null ? null : read(s.pkt.ct, s);

const lost = (key: string): Load =>
  ofConnection((_, s) => {
    s.why = `ct ${key} is not known`;
    return undefined;
  });

const isIcmp = (ct: Connection): boolean => ct.proto === ICMP || ct.proto === IPV6_ICMP;

/** tuple->src.u.all: of ICMP the id. */
function sourcePort(ct: Connection, dir: "orig" | "reply", s: EvalState): Loaded {
  if (isIcmp(ct)) return ct[dir].icmpId;
  return dir === "orig" && ct.randomOrig ? drawn(s) : ct[dir].sport;
}

/** tuple->dst.u.all: of ICMP type and code. */
function destinationPort(ct: Connection, dir: "orig" | "reply", s: EvalState): Loaded {
  if (isIcmp(ct)) return (ct[dir].icmpType << 8) | ct[dir].icmpCode;
  return dir === "reply" && ct.randomReply ? drawn(s) : ct[dir].dport;
}

function drawn(s: EvalState): undefined {
  s.why = "the client's port was drawn at random";
  return undefined;
}

/** NFT_CT_SRC_IP and its like break for a connection of the other family; NFT_CT_SRC in `ip` and `ip6` tables cannot. */
const address = (v: 4 | 6, dir: "orig" | "reply", side: "src" | "dst"): Expr =>
  plain(
    v === 4 ? t.IPV4 : t.IPV6,
    ofConnection((ct) => (ct.v === v ? ct[dir][side].key : null)),
  );

function directed(scope: RuleScope, key: string, dir: "orig" | "reply", family: string): Expr | null {
  const [first, second] = key.split(" ");
  const version = second === undefined ? family || scope.table.family : first;
  const v = version === "ip6" ? 6 : 4;
  switch (second ?? first) {
    case "saddr":
      return address(v, dir, "src");
    case "daddr":
      return address(v, dir, "dst");
    case "proto-src":
      return plain(
        t.SERVICE,
        ofConnection((ct, s) => sourcePort(ct, dir, s)),
      );
    case "proto-dst":
      return plain(
        t.SERVICE,
        ofConnection((ct, s) => destinationPort(ct, dir, s)),
      );
    default:
      return null;
  }
}

/** `{"ct": {"key": …, "dir": …}}`. */
export function ctExpr(scope: RuleScope, body: NftObject): Expr {
  const key = word(body, "key");
  const dir = word(body, "dir");
  const byTuple = dir === "" ? null : directed(scope, key, dir === "reply" ? "reply" : "orig", word(body, "family"));
  if (byTuple !== null) return byTuple;
  switch (key) {
    case "state":
      return plain(t.CT_STATE, state, "ctState");
    case "status":
      return plain(
        t.CT_STATUS,
        ofConnection((ct) => status(ct)),
      );
    case "direction":
      return plain(
        t.CT_DIR,
        ofConnection((_, s) => (s.pkt.ctReply ? 1 : 0)),
      );
    case "mark":
      return plain(
        t.MARK,
        ofConnection((ct) => ct.mark | 0),
      );
    case "zone":
      return plain(
        t.INTEGER(16),
        ofConnection((ct) => ct.zone),
      );
    case "l3proto":
      return plain(
        t.NF_PROTO,
        ofConnection((ct) => (ct.v === 4 ? 2 : 10)),
      );
    case "protocol":
      return plain(
        t.PROTO,
        ofConnection((ct) => ct.proto),
      );
    case "helper":
      return plain(
        t.NAME,
        ofConnection((ct) => ct.helper),
      );
    default:
      return plain(t.HOST_INTEGER, lost(key));
  }
}
