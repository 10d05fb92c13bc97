/** Matches as iptables-save 1.8.9 prints them: the `save` function of each libxt_*.c, libipt_*.c and libip6t_*.c. */
import type { XtMatch } from "../../model/xtables.ts";
import { icmpTypeText } from "./icmp-types.ts";
import { ALL_PORTS, TCP_FLAGS } from "./matches-transport.ts";
import {
  flag,
  hex2,
  ipText,
  markText,
  maskedText,
  option,
  optional,
  prefixText,
  rangeText,
  shortPrefixText,
  wordsText,
} from "./print-values.ts";
import { protocolName } from "./protocols.ts";
import { quote } from "./words.ts";

type Match<M extends XtMatch["m"]> = Extract<XtMatch, { m: M }>;

/**
 * The module that prints a match after its `-m`; null for the options that need none (-s, -p …). Neighbours of one module that
 * `sharesModule` allows stand behind one `-m`.
 */
function moduleOf(match: XtMatch): string | null {
  switch (match.m) {
    case "src":
    case "dst":
    case "src-mask":
    case "dst-mask":
    case "in":
    case "out":
    case "proto":
    case "fragment":
      return null;
    case "sport":
    case "dport":
      return match.ext;
    case "tcp-flags":
    case "tcp-option":
      return "tcp";
    case "icmp":
      return match.v6 ? "icmp6" : "icmp";
    case "conntrack":
      return match.viaState ? "state" : "conntrack";
    case "random":
    case "nth":
      return "statistic";
    case "unmodelled":
      return match.module;
    default:
      return match.m;
  }
}

/** Places of options behind one `-m tcp` or `-m owner`, in the order in which iptables prints them. */
function placeInModule(match: XtMatch): number {
  switch (match.m) {
    case "sport":
      return 1;
    case "dport":
      return 2;
    case "tcp-option":
      return 3;
    case "tcp-flags":
      return 4;
    case "owner":
      return match.what === "socket-exists" ? 1 : match.what === "uid" ? 2 : 3;
    default:
      return 0;
  }
}

/** Whether `match` can stand behind the `-m` of `previous`: options that one module prints together, in its order. */
function sharesModule(previous: XtMatch, match: XtMatch): boolean {
  const place = placeInModule(previous);
  return (
    place > 0 && optionsText(previous) !== "" && place < placeInModule(match) && moduleOf(previous) === moduleOf(match)
  );
}

/** All matches of a rule, each option after a space. */
export function matchesText(matches: readonly XtMatch[]): string {
  let out = "";
  let previous: XtMatch | null = null;
  for (const match of matches) {
    const module = moduleOf(match);
    if (module !== null && !(previous !== null && sharesModule(previous, match))) out += ` -m ${module}`;
    out += optionsText(match);
    previous = match;
  }
  return out;
}

function optionsText(match: XtMatch): string {
  switch (match.m) {
    case "src":
      return `${option(match.not, "-s")} ${prefixText(match.prefix)}`;
    case "dst":
      return `${option(match.not, "-d")} ${prefixText(match.prefix)}`;
    case "src-mask":
      return `${option(match.not, "-s")} ${maskedText(match.addr)}`;
    case "dst-mask":
      return `${option(match.not, "-d")} ${maskedText(match.addr)}`;
    case "in":
      return `${option(match.not, "-i")} ${match.name}`;
    case "out":
      return `${option(match.not, "-o")} ${match.name}`;
    case "proto":
      return `${option(match.not, "-p")} ${protocolName(match.proto)}`;
    case "fragment":
      return option(match.not, "-f");
    case "sport":
    case "dport":
      if (!match.not && match.range[0] === ALL_PORTS[0] && match.range[1] === ALL_PORTS[1]) return "";
      return `${option(match.not, `--${match.m}`)} ${rangeText(match.range, ":")}`;
    case "tcp-flags":
      return `${option(match.not, "--tcp-flags")} ${flagsText(match.mask)} ${flagsText(match.comp)}`;
    case "tcp-option":
      return `${option(match.not, "--tcp-option")} ${match.option}`;
    case "icmp":
      return `${option(match.not, match.v6 ? "--icmpv6-type" : "--icmp-type")} ${icmpTypeText(match.v6, match.type, match.code)}`;
    case "multiport":
      return `${option(match.not, MULTIPORT[match.side])} ${match.ports.map((range) => rangeText(range, ":")).join(",")}`;
    case "addrtype":
      return addrtypeText(match);
    case "conntrack":
      return conntrackText(match);
    case "mark":
    case "connmark":
      return `${option(match.not, "--mark")} ${markText(match.value, match.mask)}`;
    case "random":
      return ` --mode random${option(match.not, "--probability")} ${match.p}`;
    case "nth":
      return ` --mode nth${option(match.not, "--every")} ${match.every} --packet ${match.packet}`;
    case "set":
      return `${option(match.not, "--match-set")} ${match.name} ${match.dirs.join(",")}${wordsText(match.options)}`;
    case "recent":
      return recentText(match);
    case "rpfilter":
      return (
        flag(match.loose, "--loose") +
        flag(match.validmark, "--validmark") +
        flag(match.acceptLocal, "--accept-local") +
        flag(match.invert, "--invert")
      );
    case "physdev":
      return physdevText(match);
    case "mac":
      return `${option(match.not, "--mac-source")} ${match.mac}`;
    case "socket":
      return (
        flag(match.transparent, "--transparent") +
        flag(match.nowildcard, "--nowildcard") +
        flag(match.restoreSkmark, "--restore-skmark")
      );
    case "ttl":
    case "hl":
      return `${option(match.op === "ne", `--${match.m}-${match.op === "ne" ? "eq" : match.op}`)} ${match.value}`;
    case "length":
      return `${option(match.not, "--length")} ${rangeText(match.range, ":")}`;
    case "limit":
      return ` --limit ${match.rate}${optional("--limit-burst", match.burst)}`;
    case "owner":
      return ownerText(match);
    case "comment":
      return ` --comment ${quote(match.text)}`;
    case "tcpmss":
      return `${option(match.not, "--mss")} ${rangeText(match.range, ":")}`;
    case "dscp":
      return `${option(match.not, "--dscp")} ${hex2(match.value)}`;
    case "tos":
      return `${option(match.not, "--tos")} ${hex2(match.value)}/${hex2(match.mask)}`;
    case "pkttype":
      return `${option(match.not, "--pkt-type")} ${match.type}`;
    case "iprange":
      return iprangeText("--src-range", match.src) + iprangeText("--dst-range", match.dst);
    case "realm":
      return `${option(match.not, "--realm")} ${markText(match.value, match.mask)}`;
    case "helper":
      return `${option(match.not, "--helper")} ${quote(match.name)}`;
    case "nfacct":
      // nfacct_save of libxt_nfacct.c prints two spaces.
      return ` --nfacct-name  ${match.name}`;
    case "devgroup":
      return groupText("--src-group", match.src) + groupText("--dst-group", match.dst);
    case "hashlimit":
    case "connbytes":
    case "connlimit":
    case "cgroup":
    case "ecn":
    case "unmodelled":
      return wordsText(match.words);
  }
}

const MULTIPORT = { src: "--sports", dst: "--dports", both: "--ports" } as const;

function flagsText(bits: number): string {
  const names = TCP_FLAGS.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name);
  return names.length === 0 ? "NONE" : names.join(",");
}

function addrtypeText(match: Match<"addrtype">): string {
  const src = match.src === null ? "" : `${option(match.srcNot, "--src-type")} ${match.src.join(",")}`;
  const dst = match.dst === null ? "" : `${option(match.dstNot, "--dst-type")} ${match.dst.join(",")}`;
  return src + dst + (match.limitIface === null ? "" : ` --limit-iface-${match.limitIface}`);
}

const CT_ADDRESSES = ["origsrc", "origdst", "replsrc", "repldst"] as const;
const CT_PORTS = ["origsrcport", "origdstport", "replsrcport", "repldstport"] as const;

/** In the order of conntrack_dump, libxt_conntrack.c. */
function conntrackText(match: Match<"conntrack">): string {
  const { state, status, proto, expire, dir } = match;
  let out = "";
  if (state !== null) out += `${option(state.not, match.viaState ? "--state" : "--ctstate")} ${state.states.join(",")}`;
  if (proto !== null) out += `${option(proto.not, "--ctproto")} ${proto.proto}`;
  for (const name of CT_ADDRESSES) {
    const asked = match[name];
    if (asked !== null) out += `${option(asked.not, `--ct${name}`)} ${shortPrefixText(asked.prefix)}`;
  }
  for (const name of CT_PORTS) {
    const asked = match[name];
    if (asked !== null) out += `${option(asked.not, `--ct${name}`)} ${rangeText(asked.range, ":")}`;
  }
  if (status !== null) out += `${option(status.not, "--ctstatus")} ${status.statuses.join(",")}`;
  if (expire !== null) out += `${option(expire.not, "--ctexpire")} ${rangeText(expire.range, ":")}`;
  return out + optional("--ctdir", dir);
}

function recentText(match: Match<"recent">): string {
  return (
    option(match.not, `--${match.op}`) +
    optional("--seconds", match.seconds) +
    flag(match.reap, "--reap") +
    optional("--hitcount", match.hitcount) +
    flag(match.rttl, "--rttl") +
    ` --name ${match.name}` +
    optional("--mask", match.mask === null ? null : ipText(match.mask)) +
    (match.side === "src" ? " --rsource" : " --rdest")
  );
}

function physdevText(match: Match<"physdev">): string {
  let out = "";
  if (match.isIn !== null) out += option(!match.isIn, "--physdev-is-in");
  if (match.in !== null) out += `${option(match.in.not, "--physdev-in")} ${match.in.name}`;
  if (match.isOut !== null) out += option(!match.isOut, "--physdev-is-out");
  if (match.out !== null) out += `${option(match.out.not, "--physdev-out")} ${match.out.name}`;
  if (match.isBridged !== null) out += option(!match.isBridged, "--physdev-is-bridged");
  return out;
}

function ownerText(match: Match<"owner">): string {
  if (match.what === "socket-exists" || match.range === null) return option(match.not, "--socket-exists");
  return `${option(match.not, `--${match.what}-owner`)} ${rangeText(match.range, "-")}${flag(match.supplGroups, "--suppl-groups")}`;
}

function iprangeText(name: string, range: Match<"iprange">["src"]): string {
  return range === null ? "" : `${option(range.not, name)} ${ipText(range.from)}-${ipText(range.to)}`;
}

function groupText(name: string, group: Match<"devgroup">["src"]): string {
  return group === null ? "" : `${option(group.not, name)} ${markText(group.value, group.mask)}`;
}
