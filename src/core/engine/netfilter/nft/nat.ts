/** Address translation: dnat, snat, masquerade, redirect (nft_nat.c, nft_masq.c, nft_redir.c), and tproxy (nft_tproxy.c). */
import { parseIp } from "../../../model/address.ts";
import type { Ip, Prefix } from "../../../model/address.ts";
import type { NftJson } from "../../../model/nftables.ts";
import { TCP, UDP } from "../../packet.ts";
import type { NatRequest } from "../context.ts";
import type { Effect, EvalState } from "../program.ts";
import { ACCEPT, BREAK, DROP, NEXT, UNSURE } from "../program.ts";
import { objectOf, tagged, under, word, words } from "./json.ts";
import type { NftObject } from "./json.ts";
import { mapping } from "./map.ts";
import type { RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import { valueIp } from "./value.ts";

interface Target {
  readonly min: Ip | null;
  readonly max: Ip | null;
  readonly minPort: number | null;
  readonly maxPort: number | null;
  /** The addresses are a prefix, whose host bits the packet's address keeps. */
  readonly prefix: Prefix | null;
}

/** A target that may differ from packet to packet. */
type Read<T> = (s: EvalState) => T | null | undefined;

const NOWHERE: Target = { min: null, max: null, minPort: null, maxPort: null, prefix: null };

/** An address, a range or a prefix of them; undefined when it is none. */
function addresses(json: NftJson): Target | undefined {
  if (typeof json === "string") {
    const ip = parseIp(json);
    return ip === null ? undefined : { ...NOWHERE, min: ip, max: ip };
  }
  // Each reads only addresses of its own family.
  const span4 = t.interval(t.IPV4, json);
  const type = span4 === undefined ? t.IPV6 : t.IPV4;
  const span = span4 ?? t.interval(type, json);
  if (span === undefined) return undefined;
  const prefix = t.intervalPrefix(type, span);
  return { ...NOWHERE, min: valueIp(span.lo), max: valueIp(span.hi), prefix };
}

/** A port or a range of them; undefined when it is none. */
function ports(json: NftJson): { minPort: number; maxPort: number } | undefined {
  const span = t.interval(t.SERVICE, json);
  if (span === undefined || typeof span.lo !== "number" || typeof span.hi !== "number") return undefined;
  return { minPort: span.lo, maxPort: span.hi };
}

/** What a map of addresses holds: an address, or an address and a port. */
function target(json: NftJson): Target | undefined {
  const parts = under(json, "concat");
  if (!Array.isArray(parts)) return addresses(json);
  const [addr, port] = parts;
  const address = addr === undefined ? undefined : addresses(addr);
  const range = port === undefined ? undefined : ports(port);
  return parts.length === 2 && address !== undefined && range !== undefined ? { ...address, ...range } : undefined;
}

/** A literal, or the value of a map. */
function reader<T>(scope: RuleScope, json: NftJson, decode: (json: NftJson) => T | undefined): Read<T> {
  const map = under(json, "map");
  if (map !== undefined) return mapping(scope, map, decode).get;
  const value = decode(json);
  return (s) => {
    if (value === undefined) s.why = `${JSON.stringify(json)} is not modelled as a target`;
    return value;
  };
}

function portReader(scope: RuleScope, body: NftObject): Read<{ minPort: number; maxPort: number }> | null {
  const json = body["port"];
  return json === undefined ? null : reader(scope, json, ports);
}

interface Flags {
  readonly random: boolean;
  readonly randomFully: boolean;
  readonly persistent: boolean;
}

function flagsOf(body: NftObject): Flags {
  const list = words(body["flags"]);
  return {
    random: list.includes("random"),
    randomFully: list.includes("fully-random"),
    persistent: list.includes("persistent"),
  };
}

/** The IP version that a statement of the inet family is for; null for both. */
function versionOf(body: NftObject): 4 | 6 | null {
  const family = word(body, "family");
  return family === "ip" ? 4 : family === "ip6" ? 6 : null;
}

/** `{"dnat": …}` and `{"snat": …}`. The verdict is that of nf_nat_setup_info: accept, or drop when no tuple is free. */
export function natEffect(scope: RuleScope, manip: "src" | "dst", json: NftJson): Effect {
  const body = objectOf(json) ?? {};
  const addr = body["addr"] === undefined ? null : reader(scope, body["addr"], target);
  const port = portReader(scope, body);
  const only = versionOf(body);
  const netmap = words(body["flags"]).includes("netmap") || word(body, "type_flags") === "prefix";
  const flags = flagsOf(body);
  const constant = under(body["addr"], "map") === undefined && under(body["port"], "map") === undefined;
  let ready: NatRequest | null = null;
  return (s) => {
    // nft_nat_inet_eval: of the other family the statement does nothing.
    if (only !== null && s.pkt.v !== only) return NEXT;
    let request = ready;
    if (request === null) {
      const where = addr === null ? NOWHERE : addr(s);
      const range = port === null ? {} : port(s);
      if (where === null || range === null) return BREAK;
      if (where === undefined || range === undefined) return UNSURE;
      const { min, max, minPort, maxPort, prefix } = { ...where, ...range };
      if (netmap && min !== null && prefix === null && min !== max) {
        s.why = "netmap to a range that is no prefix is not modelled";
        return UNSURE;
      }
      const mapped = netmap && min !== null ? (prefix ?? hostPrefix(min)) : null;
      request = { manip, min, max, minPort, maxPort, basePort: null, ...flags, netmap: mapped };
      if (constant) ready = request;
    }
    return verdict(s, s.services.nat(s, request));
  };
}

/** What a `dnat` or `snat` statement asks for, where that is the same for every packet; null where it is not. */
export function constantNat(statement: NftJson): NatRequest | null {
  const tag = tagged(statement)?.tag;
  const body = tag === "dnat" || tag === "snat" ? objectOf(under(statement, tag)) : null;
  if (
    body === null ||
    versionOf(body) !== null ||
    Object.keys(body).some((k) => k !== "addr" && k !== "port" && k !== "flags")
  )
    return null;
  const flags = words(body["flags"]);
  const where = typeof body["addr"] === "string" ? addresses(body["addr"]) : undefined;
  const range =
    body["port"] === undefined ? NO_PORTS : typeof body["port"] === "number" ? ports(body["port"]) : undefined;
  if (where === undefined || range === undefined || flags.includes("netmap")) return null;
  const { min, max } = where;
  return { manip: tag === "dnat" ? "dst" : "src", min, max, ...range, basePort: null, ...flagsOf(body), netmap: null };
}

const NO_PORTS = { minPort: null, maxPort: null };

const hostPrefix = (ip: Ip): Prefix => ({ ip, len: ip.v === 4 ? 32 : 128 });

function verdict(s: EvalState, changed: EvalState["changed"]): number {
  s.changed = changed;
  return changed === null ? DROP : ACCEPT;
}

/** `{"masquerade": …}` and `{"redirect": …}`. */
export function ownAddressEffect(scope: RuleScope, kind: "masquerade" | "redirect", json: NftJson): Effect {
  const body = objectOf(json) ?? {};
  const port = portReader(scope, body);
  const { random, randomFully } = flagsOf(body);
  return (s) => {
    const range = port === null ? { minPort: null, maxPort: null } : port(s);
    if (range === null) return BREAK;
    if (range === undefined) return UNSURE;
    return verdict(s, s.services[kind](s, { ...range, random, randomFully }));
  };
}

/** `{"tproxy": …}`: NFT_BREAK for other protocols and where no transparent socket is there; else the rule goes on. */
export function tproxyEffect(scope: RuleScope, json: NftJson): Effect {
  const body = objectOf(json) ?? {};
  const only = versionOf(body);
  const addr = body["addr"] === undefined ? null : reader(scope, body["addr"], target);
  const port = portReader(scope, body);
  return (s) => {
    if ((s.pkt.proto !== TCP && s.pkt.proto !== UDP) || (only !== null && s.pkt.v !== only)) return BREAK;
    const where = addr === null ? NOWHERE : addr(s);
    const range = port === null ? { minPort: s.pkt.dport } : port(s);
    if (where === null || range === null) return BREAK;
    if (where === undefined || range === undefined) return UNSURE;
    const taken = s.services.tproxy(s, where.min, range.minPort);
    if (taken !== "unknown") return taken ? NEXT : BREAK;
    s.why = "whether a transparent socket is there for tproxy is not known";
    if (!s.oracle.unknown(s.why, scope.source)) return BREAK;
    s.pkt.socket = "program";
    s.pkt.tproxied = { ip: where.min ?? s.pkt.dst, port: range.minPort === 0 ? s.pkt.dport : range.minPort };
    return NEXT;
  };
}
