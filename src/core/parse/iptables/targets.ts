/** `-j TARGET …`: which reader knows which target. */
import type { XtTarget } from "../../model/xtables.ts";
import {
  classifyTarget,
  connmarkTarget,
  ctTarget,
  dscpTarget,
  markTarget,
  tcpmssTarget,
  tosTarget,
  ttlTarget,
} from "./targets-mark.ts";
import { masqueradeTarget, natTarget, netmapTarget, redirectTarget, tproxyTarget } from "./targets-nat.ts";
import { address, setDirs } from "./values.ts";
import { Malformed, Words, shorten } from "./words.ts";

/** What a target's words mean; null when they hold an option that the model has no place for. */
type Reader = (w: Words, v6: boolean) => XtTarget | null;

/** reject_table of libipt_REJECT.c and libip6t_REJECT.c, with their short names. */
const REJECT_V4 = [
  ["icmp-net-unreachable", "net-unreach"],
  ["icmp-host-unreachable", "host-unreach"],
  ["icmp-proto-unreachable", "proto-unreach"],
  ["icmp-port-unreachable", "port-unreach"],
  ["icmp-net-prohibited", "net-prohib"],
  ["icmp-host-prohibited", "host-prohib"],
  ["tcp-reset", "tcp-rst"],
  ["icmp-admin-prohibited", "admin-prohib"],
] as const;
const REJECT_V6 = [
  ["icmp6-no-route", "no-route"],
  ["icmp6-adm-prohibited", "adm-prohibited"],
  ["icmp6-addr-unreachable", "addr-unreach"],
  ["icmp6-port-unreachable", "port-unreach"],
  ["tcp-reset", "tcp-reset"],
  ["icmp6-policy-fail", "policy-fail"],
  ["icmp6-reject-route", "reject-route"],
] as const;

function rejectTarget(w: Words, v6: boolean): XtTarget | null {
  const o = w.option();
  if (o === null) return { t: "reject", with: v6 ? "icmp6-port-unreachable" : "icmp-port-unreachable" };
  if (o.name !== "--reject-with" || o.not) return null;
  const text = w.value();
  const known = (v6 ? REJECT_V6 : REJECT_V4).find((names) => names.some((name) => name === text));
  if (known === undefined) {
    throw new Malformed(
      `--reject-with: expected ${(v6 ? REJECT_V6 : REJECT_V4).map(([name]) => name).join(", ")}, found ${shorten(text)}`,
    );
  }
  return { t: "reject", with: known[0] };
}

function teeTarget(w: Words, v6: boolean): XtTarget | null {
  let gateway = null;
  let oif: string | null = null;
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--gateway") gateway = address(w.value(), v6, o.name);
    else if (o.name === "--oif") oif = w.value();
    else return null;
  }
  if (gateway === null) throw new Malformed("-j TEE: expected --gateway");
  return { t: "tee", gateway, oif };
}

const SET_OPS: Readonly<Record<string, "add" | "del" | "map">> = {
  "--add-set": "add",
  "--del-set": "del",
  "--map-set": "map",
};

/** A rule may add to one set and delete from another; the model holds one of them, so both are `unmodelled`. */
function setTarget(w: Words): XtTarget | null {
  const o = w.option();
  if (o === null) throw new Malformed("-j SET: expected --add-set, --del-set or --map-set");
  const op = SET_OPS[o.name];
  if (op === undefined || o.not) return null;
  const set = w.value();
  const dirs = setDirs(w.value(), o.name);
  const words: string[] = [];
  for (let each = w.option(); each !== null; each = w.option()) {
    if (SET_OPS[each.name] !== undefined) return null;
    words.push(...w.raw(each));
  }
  return { t: "set", op, set, dirs, words };
}

/** NFQUEUE of older kernels has no options and means queue 0; QUEUE, the verdict, never has words. */
function nfqueueTarget(w: Words): XtTarget {
  const words = w.rest();
  return { t: "queue", words: words.length === 0 ? ["--queue-num", "0"] : words };
}

const READERS = new Map<string, Reader>(
  Object.entries({
    ACCEPT: () => ({ t: "accept" }),
    CLASSIFY: classifyTarget,
    CONNMARK: connmarkTarget,
    CT: ctTarget,
    DNAT: (w, v6) => natTarget("dnat", w, v6),
    DROP: () => ({ t: "drop" }),
    DSCP: dscpTarget,
    HL: (w, v6) => (v6 ? ttlTarget("HL", w) : null),
    MARK: markTarget,
    MASQUERADE: masqueradeTarget,
    NETMAP: netmapTarget,
    NFQUEUE: nfqueueTarget,
    NOTRACK: () => ({ t: "notrack" }),
    QUEUE: () => ({ t: "queue", words: [] }),
    REDIRECT: redirectTarget,
    REJECT: rejectTarget,
    RETURN: () => ({ t: "return" }),
    SET: setTarget,
    SNAT: (w, v6) => natTarget("snat", w, v6),
    TCPMSS: tcpmssTarget,
    TEE: teeTarget,
    TOS: tosTarget,
    TPROXY: tproxyTarget,
    TTL: (w, v6) => (v6 ? null : ttlTarget("TTL", w)),
  } satisfies Record<string, Reader>),
);

/** Targets after which the packet goes on, on the path that it had. */
const SIDE_EFFECTS: ReadonlySet<string> = new Set([
  "AUDIT",
  "CHECKSUM",
  "CONNSECMARK",
  "ECN",
  "IDLETIMER",
  "LED",
  "LOG",
  "NFLOG",
  "RATEEST",
  "SECMARK",
  "TCPOPTSTRIP",
  "TRACE",
  "ULOG",
]);

/**
 * The target of one `-j NAME …` that is no chain of its table; `words` are those after the name, as printed. A target or an option
 * that the model does not know becomes `unmodelled`. Throws Malformed for a value that its option can't have.
 */
export function extensionTarget(name: string, words: readonly string[], v6: boolean): XtTarget {
  if (SIDE_EFFECTS.has(name)) return { t: "side-effect", name, words };
  const reader = READERS.get(name);
  if (reader === undefined) return { t: "unmodelled", name, words };
  const w = new Words(words);
  const target = reader(w, v6);
  if (target !== null && w.option() === null) return target;
  return { t: "unmodelled", name, words };
}
