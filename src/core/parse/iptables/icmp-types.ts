/** `--icmp-type` and `--icmpv6-type`: numbers as iptables-save prints them, and the names that iptables takes (icmp_codes, libxt_icmp.h). */
import type { Range } from "../../model/xtables.ts";
import { U8, number } from "./values.ts";

export interface IcmpType {
  readonly type: number;
  readonly code: Range;
}

const ALL_CODES: Range = [0, U8];

/** Names as `TYPE` or `TYPE/CODE`. */
const V4: Readonly<Record<string, string>> = {
  "echo-reply": "0",
  pong: "0",
  "destination-unreachable": "3",
  "network-unreachable": "3/0",
  "host-unreachable": "3/1",
  "protocol-unreachable": "3/2",
  "port-unreachable": "3/3",
  "fragmentation-needed": "3/4",
  "source-route-failed": "3/5",
  "network-unknown": "3/6",
  "host-unknown": "3/7",
  "network-prohibited": "3/9",
  "host-prohibited": "3/10",
  "TOS-network-unreachable": "3/11",
  "TOS-host-unreachable": "3/12",
  "communication-prohibited": "3/13",
  "host-precedence-violation": "3/14",
  "precedence-cutoff": "3/15",
  "source-quench": "4",
  redirect: "5",
  "network-redirect": "5/0",
  "host-redirect": "5/1",
  "TOS-network-redirect": "5/2",
  "TOS-host-redirect": "5/3",
  "echo-request": "8",
  ping: "8",
  "router-advertisement": "9",
  "router-solicitation": "10",
  "time-exceeded": "11",
  "ttl-exceeded": "11",
  "ttl-zero-during-transit": "11/0",
  "ttl-zero-during-reassembly": "11/1",
  "parameter-problem": "12",
  "ip-header-bad": "12/0",
  "required-option-missing": "12/1",
  "timestamp-request": "13",
  "timestamp-reply": "14",
  "address-mask-request": "17",
  "address-mask-reply": "18",
};

const V6: Readonly<Record<string, string>> = {
  "destination-unreachable": "1",
  "no-route": "1/0",
  "communication-prohibited": "1/1",
  "beyond-scope": "1/2",
  "address-unreachable": "1/3",
  "port-unreachable": "1/4",
  "failed-policy": "1/5",
  "reject-route": "1/6",
  "packet-too-big": "2",
  "time-exceeded": "3",
  "ttl-exceeded": "3",
  "ttl-zero-during-transit": "3/0",
  "ttl-zero-during-reassembly": "3/1",
  "parameter-problem": "4",
  "bad-header": "4/0",
  "unknown-header-type": "4/1",
  "unknown-option": "4/2",
  "echo-request": "128",
  ping: "128",
  "echo-reply": "129",
  pong: "129",
  "router-solicitation": "133",
  "router-advertisement": "134",
  "neighbour-solicitation": "135",
  "neighbor-solicitation": "135",
  "neighbour-advertisement": "136",
  "neighbor-advertisement": "136",
  redirect: "137",
};

/**
 * Reads a type, or null for ICMPv6's `any`, which the kernel's icmp6 match does not know. IPv4's `any` is type 255, which
 * matches every type (icmp_type_code_match, net/netfilter/xt_tcpudp.c). Throws Malformed for anything else.
 */
export function icmpType(text: string, v6: boolean): IcmpType | null {
  const what = v6 ? "--icmpv6-type" : "--icmp-type";
  if (text === "any") return v6 ? null : { type: 255, code: ALL_CODES };
  const names = v6 ? V6 : V4;
  const numeric = Object.hasOwn(names, text) ? names[text]! : text;
  const slash = numeric.indexOf("/");
  if (slash < 0) return { type: number(numeric, U8, what), code: ALL_CODES };
  const code = number(numeric.slice(slash + 1), U8, what);
  return { type: number(numeric.slice(0, slash), U8, what), code: [code, code] };
}

/** How iptables-save prints a type: `any`, `TYPE` or `TYPE/CODE` (icmp_save, libipt_icmp.c). */
export function icmpTypeText(v6: boolean, type: number, code: Range): string {
  if (!v6 && type === 255 && code[0] === 0 && code[1] === U8) return "any";
  if (code[0] === 0 && code[1] === U8) return String(type);
  return `${type}/${code[0]}`;
}
