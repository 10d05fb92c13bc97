/** Targets as iptables-save 1.8.9 prints them: the `save` function of each libxt_*.c, libipt_*.c and libip6t_*.c. */
import type { NatRange, XtTarget } from "../../model/xtables.ts";
import { flag, hex, hex2, ipText, optional, prefixText, rangeText, wordsText } from "./print-values.ts";
import { quote } from "./words.ts";

/** A target with its -j or -g after a space; nothing for a rule without one. */
export function targetText(target: XtTarget): string {
  switch (target.t) {
    case "none":
      return "";
    case "accept":
      return " -j ACCEPT";
    case "drop":
      return " -j DROP";
    case "return":
      return " -j RETURN";
    case "queue":
      return target.words.length === 0 ? " -j QUEUE" : ` -j NFQUEUE${wordsText(target.words)}`;
    case "jump":
      return ` -j ${target.chain}`;
    case "goto":
      return ` -g ${target.chain}`;
    case "reject":
      return ` -j REJECT --reject-with ${target.with}`;
    case "mark":
      return ` -j MARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`;
    case "connmark-set":
      return ` -j CONNMARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`;
    case "connmark-save":
    case "connmark-restore":
      return ` -j CONNMARK --${target.t.slice(9)}-mark --nfmask ${hex(target.nfmask)} --ctmask ${hex(target.ctmask)}`;
    case "dnat":
    case "snat":
      return (
        ` -j ${target.t === "dnat" ? "DNAT --to-destination" : "SNAT --to-source"} ${natRangeText(target.range)}` +
        flag(target.random, "--random") +
        flag(target.randomFully, "--random-fully") +
        flag(target.persistent, "--persistent")
      );
    case "masquerade":
      return (
        " -j MASQUERADE" +
        optional("--to-ports", target.ports === null ? null : rangeText(target.ports, "-")) +
        flag(target.random, "--random") +
        flag(target.randomFully, "--random-fully")
      );
    case "redirect":
      return (
        " -j REDIRECT" +
        optional("--to-ports", target.ports === null ? null : rangeText(target.ports, "-")) +
        flag(target.random, "--random")
      );
    case "netmap":
      return ` -j NETMAP --to ${prefixText(target.to)}`;
    case "notrack":
      return " -j NOTRACK";
    case "ct":
      return ctText(target);
    case "tproxy": {
      const none = target.v6 === true ? "::" : "0.0.0.0";
      const ip = target.ip === null ? none : ipText(target.ip);
      return ` -j TPROXY --on-port ${target.port} --on-ip ${ip} --tproxy-mark ${hex(target.value)}/${hex(target.mask)}`;
    }
    case "set":
      return ` -j SET --${target.op}-set ${target.set} ${target.dirs.join(",")}${wordsText(target.words)}`;
    case "tcpmss":
      return target.clamp ? " -j TCPMSS --clamp-mss-to-pmtu" : ` -j TCPMSS --set-mss ${target.mss}`;
    case "tee":
      return ` -j TEE --gateway ${ipText(target.gateway)}${optional("--oif", target.oif)}`;
    case "classify":
      return ` -j CLASSIFY --set-class ${target.class}`;
    case "dscp":
      return ` -j DSCP --set-dscp ${hex2(target.value)}`;
    case "tos":
      return ` -j TOS --set-tos ${hex2(target.value)}/${hex2(target.mask)}`;
    case "ttl": {
      const name = target.v6 === true ? "HL" : "TTL";
      return ` -j ${name} --${name.toLowerCase()}-${target.op} ${target.value}`;
    }
    case "side-effect":
    case "unmodelled":
      return ` -j ${target.name}${wordsText(target.words)}`;
  }
}

/** `ADDRESS[-ADDRESS][:PORT[-PORT[/BASE]]]`; IPv6 addresses stand in brackets before a port (print_range of libxt_NAT.c). */
function natRangeText(range: NatRange): string {
  const { min, max, ports, basePort } = range;
  let out = "";
  if (min !== null) {
    const addresses = max === null || ipText(max) === ipText(min) ? ipText(min) : `${ipText(min)}-${ipText(max)}`;
    out = min.v === 6 && ports !== null ? `[${addresses}]` : addresses;
  }
  if (ports === null) return out;
  return `${out}:${rangeText(ports, "-")}${basePort === null ? "" : `/${basePort}`}`;
}

/** In the order of ct_save_v1, libxt_CT.c. */
function ctText(target: Extract<XtTarget, { t: "ct" }>): string {
  const zone = target.zoneFromMark ? "mark" : target.zone;
  return (
    " -j CT" +
    flag(target.notrack, "--notrack") +
    optional("--helper", target.helper === null ? null : quote(target.helper)) +
    wordsText(target.words) +
    optional(target.zoneDir === null ? "--zone" : `--zone-${target.zoneDir}`, zone)
  );
}
