/**
 * resolv.conf as a resolver's configuration: what kubelet writes for a pod, what a C library reads.
 * Limits are those of the reader: glibc resolv/res_init.c and bits/types/res_state.h, musl src/network/resolvconf.c.
 */
import type { Source } from "../../model/source.ts";

/** What a resolv.conf says. Options as they stand, `ndots:5`. */
export interface ResolvConf {
  nameservers: string[];
  search: string[];
  options: string[];
}

/** Which C library reads the file. */
export type Libc = "glibc" | "musl";

/** Both libraries ask at most three servers (MAXNS). */
export const MAX_NAMESERVERS = 3;
/** ndots beyond 15 counts as 15 (RES_MAXNDOTS; musl the same number). */
const MAX_NDOTS = 15;
/** musl keeps the search list in `char search[256]` and ignores a longer one. */
const MUSL_SEARCH_SIZE = 256;

/** Something in a resolv.conf that its reader does not take as it was meant. */
export interface ResolvConfNote {
  text: string;
  source: Source;
}

/**
 * Reads a resolv.conf as both libraries do: `nameserver` lines add up, of `search` and `domain` the last one counts, of `options`
 * all. Comments begin with `#` or `;`. Names lose their final dot, but the root stays ".". Never throws.
 */
export function parseResolvConf(text: string): ResolvConf {
  const conf: ResolvConf = { nameservers: [], search: [], options: [] };
  for (const line of text.split("\n")) {
    if (/^[#;]/.test(line)) continue;
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) conf.nameservers.push(rest[0]);
    else if (word === "search") conf.search = rest.map(withoutFinalDot);
    else if (word === "domain") conf.search = rest.slice(0, 1).map(withoutFinalDot);
    else if (word === "options") conf.options.push(...rest);
  }
  return conf;
}

/** `cluster.local.` as `cluster.local`; the root as ".". */
export function withoutFinalDot(name: string): string {
  return name.length > 1 && name.endsWith(".") ? name.slice(0, -1) : name;
}

/** ndots as a library takes it: the last one given, at most 15, 1 when none is given or it is no number. */
export function ndotsOf(conf: ResolvConf): number {
  let ndots = 1;
  for (const option of conf.options) {
    const given = /^ndots:(\d+)/.exec(option);
    if (given !== null) ndots = Math.min(MAX_NDOTS, Number(given[1]));
  }
  return ndots;
}

/** The servers that a library asks: the first three. */
export function serversOf(conf: ResolvConf): string[] {
  return conf.nameservers.slice(0, MAX_NAMESERVERS);
}

/**
 * The search list that a library uses. glibc has no limit since 2.26; musl drops a `search` line of 256 characters and more.
 */
export function searchOf(conf: ResolvConf, libc: Libc): string[] {
  if (libc === "musl" && conf.search.join(" ").length >= MUSL_SEARCH_SIZE) return [];
  return conf.search;
}

/** What a library passes over in silence: servers beyond the third, ndots beyond 15, and musl's short search list. `file` names the file. */
export function resolvConfNotes(text: string, file: string): ResolvConfNote[] {
  const notes: ResolvConfNote[] = [];
  let servers = 0;
  for (const [index, line] of text.split("\n").entries()) {
    const source: Source = { file, line: index + 1 };
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && ++servers > MAX_NAMESERVERS)
      notes.push({ text: `nameserver ${rest[0] ?? ""} is never asked: resolvers take the first three`, source });
    const ndots = word === "options" ? rest.find((option) => /^ndots:\d+/.test(option)) : undefined;
    if (ndots !== undefined && Number(ndots.slice(6)) > MAX_NDOTS)
      notes.push({ text: `${ndots} counts as ndots:${MAX_NDOTS}`, source });
    if (word === "search" && rest.join(" ").length >= MUSL_SEARCH_SIZE)
      notes.push({ text: "musl ignores a search list of 256 characters and more", source });
  }
  return notes;
}

/** The text that containerd and CRI-O write (cri/server parseDNSOptions): search, nameservers, options; empty parts are left out. */
export function resolvConfText(conf: ResolvConf): string {
  const search = conf.search.length === 0 ? "" : `search ${conf.search.join(" ")}\n`;
  const servers = conf.nameservers.map((server) => `nameserver ${server}\n`).join("");
  const options = conf.options.length === 0 ? "" : `options ${conf.options.join(" ")}\n`;
  return search + servers + options;
}
