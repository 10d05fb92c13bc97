/** The `reject` statement (nft_reject_inet.c and its like). */
import type { NftJson } from "../../../model/nftables.ts";
import { TCP } from "../../packet.ts";
import type { Effect } from "../program.ts";
import { REJECT, UNSURE } from "../program.ts";
import { objectOf, word } from "./json.ts";
import type { RuleScope } from "./scope.ts";

/** nft's names of ICMP codes, in iptables' words. */
const ICMP: Readonly<Record<string, string>> = {
  "net-unreachable": "icmp-net-unreachable",
  "host-unreachable": "icmp-host-unreachable",
  "prot-unreachable": "icmp-proto-unreachable",
  "port-unreachable": "icmp-port-unreachable",
  "net-prohibited": "icmp-net-prohibited",
  "host-prohibited": "icmp-host-prohibited",
  "admin-prohibited": "icmp-admin-prohibited",
};

const ICMPV6: Readonly<Record<string, string>> = {
  "no-route": "icmp6-no-route",
  "admin-prohibited": "icmp6-adm-prohibited",
  "addr-unreachable": "icmp6-addr-unreachable",
  "port-unreachable": "icmp6-port-unreachable",
  "policy-fail": "icmp6-policy-fail",
  "reject-route": "icmp6-reject-route",
};

/** icmp_code_v4 and icmp_code_v6 of nft_reject.c: what the family-independent codes become. */
const ICMPX: Readonly<Record<string, readonly [v4: string, v6: string]>> = {
  "no-route": ["icmp-net-unreachable", "icmp6-no-route"],
  "port-unreachable": ["icmp-port-unreachable", "icmp6-port-unreachable"],
  "host-unreachable": ["icmp-host-unreachable", "icmp6-addr-unreachable"],
  "admin-prohibited": ["icmp-admin-prohibited", "icmp6-adm-prohibited"],
};

const named = (table: Readonly<Record<string, string>>, name: string): string | null =>
  Object.hasOwn(table, name) ? table[name]! : null;

/**
 * `{"reject": …}`. Without a type: port unreachable of the packet's family. A type of one protocol implies a match on
 * it, which nft hides (stmt_evaluate_reject).
 */
export function rejectEffect(scope: RuleScope, json: NftJson): Effect {
  const body = objectOf(json) ?? {};
  const type = word(body, "type");
  const code = word(body, "expr") || "port-unreachable";
  let answer: readonly [v4: string | null, v6: string | null];
  switch (type) {
    case "tcp reset":
      scope.needProto(TCP);
      answer = ["tcp-reset", "tcp-reset"];
      break;
    case "icmp":
      scope.needIp(4);
      answer = [named(ICMP, code), null];
      break;
    case "icmpv6":
      scope.needIp(6);
      answer = [null, named(ICMPV6, code)];
      break;
    default:
      answer = Object.hasOwn(ICMPX, code) ? ICMPX[code]! : [null, null];
  }
  return (s) => {
    s.rejectWith = s.pkt.v === 4 ? answer[0] : answer[1];
    if (s.rejectWith !== null) return REJECT;
    s.why = `reject with ${type} ${code} is not modelled`;
    return UNSURE;
  };
}
