/**
 * Which rules make a namespace track connections: those whose extension calls nf_ct_netns_get when it is loaded. That a
 * rule can be reached, or its table is dormant, makes no difference; an empty nat chain and NOTRACK do not count
 * (seen on Linux 6.18: `nf_conntrack_count` after one packet beside such a rule).
 */
import type { NftJson, NftTable } from "../../model/nftables.ts";
import { alikeRules, type XtMatch, type XtTable, type XtTarget } from "../../model/xtables.ts";

/** Modules of iptables that are not modelled and still track. */
const MATCH_MODULES = new Set([
  "conntrack",
  "state",
  "connmark",
  "connbytes",
  "connlimit",
  "connlabel",
  "helper",
  "cluster",
]);
const TARGET_NAMES = new Set([
  "CONNMARK",
  "CONNSECMARK",
  "CT",
  "CLUSTERIP",
  "SYNPROXY",
  "DNAT",
  "SNAT",
  "MASQUERADE",
  "REDIRECT",
  "NETMAP",
]);

function matchTracks(m: XtMatch): boolean {
  switch (m.m) {
    case "conntrack":
    case "connmark":
    case "helper":
    case "connbytes":
    case "connlimit":
      return true;
    case "unmodelled":
      return MATCH_MODULES.has(m.module);
    default:
      return false;
  }
}

function targetTracks(t: XtTarget): boolean {
  switch (t.t) {
    case "connmark-set":
    case "connmark-save":
    case "connmark-restore":
    case "dnat":
    case "snat":
    case "masquerade":
    case "redirect":
    case "netmap":
      return true;
    case "ct":
      // xt_ct_tg_check returns before nf_ct_netns_get when XT_CT_NOTRACK is set.
      return !t.notrack;
    case "unmodelled":
    case "side-effect":
      return TARGET_NAMES.has(t.name);
    default:
      return false;
  }
}

/** Whether some rule of an iptables table needs connection tracking. */
export function xtTracks(table: XtTable): boolean {
  return table.chains.some((c) => alikeRules(c).some((r) => targetTracks(r.target) || r.matches.some(matchTracks)));
}

/** Statements and expressions of nft JSON that track packets of IP version `v`: `ct` in all its forms, nat, flow offload, SYN proxy. */
function jsonTracks(json: NftJson, v: 4 | 6): boolean {
  if (typeof json !== "object" || json === null) return false;
  if (Array.isArray(json)) return json.some((j) => jsonTracks(j, v));
  for (const key of Object.keys(json)) {
    if (key === "ct" || key.startsWith("ct ")) return true;
    // nft_nat_init: rewriting to an address tracks that address's family alone, also in a table of both.
    if (key === "snat" || key === "dnat") return !rewritesOther(json[key]!, v);
    if (key === "masquerade" || key === "redirect" || key === "flow" || key === "synproxy") return true;
    const value = json[key]!;
    if (key === "xt") return xtJsonTracks(value);
    if (jsonTracks(value, v)) return true;
  }
  return false;
}

function rewritesOther(nat: NftJson, v: 4 | 6): boolean {
  const family = typeof nat === "object" && nat !== null && !Array.isArray(nat) ? nat["family"] : undefined;
  return family === (v === 4 ? "ip6" : "ip");
}

/** `{"xt": {"type": "match", "name": "conntrack"}}`; a CT target may be a NOTRACK, which its JSON does not tell. */
function xtJsonTracks(json: NftJson): boolean {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return false;
  const name = json["name"];
  return typeof name === "string" && (json["type"] === "target" ? TARGET_NAMES.has(name) : MATCH_MODULES.has(name));
}

/** Whether some rule or object of an nft table needs connection tracking of IP version `v` (nft_ct_get_init, nft_nat_init, nft_ct_helper_obj_init …). */
export function nftTracks(table: NftTable, v: 4 | 6): boolean {
  return (
    table.objects.some((o) => o.kind.startsWith("ct ") || o.kind === "synproxy") ||
    table.chains.some((c) => c.rules.some((r) => r.expr.some((e) => jsonTracks(e, v))))
  );
}
