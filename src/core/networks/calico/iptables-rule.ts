/** Rules of iptables as Felix writes them, before they become text (felix/generictables, felix/iptables). */

/** A rule. */
export interface FelixRule {
  /** Its matches as iptables-save prints them. */
  match: string[];
  /** Its target, `-j ACCEPT`; null for a rule that only carries a comment. */
  action: string | null;
  comments: string[];
}

/** A chain; `rules` in order. */
export interface FelixChain {
  name: string;
  rules: FelixRule[];
}

/** Bits of the packet mark that Felix uses, taken from the mask from its lowest bit on (felix/dataplane/driver.go). */
export interface Marks {
  accept: number;
  pass: number;
  drop: number;
  scratch0: number;
  scratch1: number;
}

/** The bits of a mask; null when it has too few. */
export function marksOf(mask: number): Marks | null {
  const bits: number[] = [];
  for (let i = 0; i < 32; i++) if (((mask >>> i) & 1) === 1) bits.push((1 << i) >>> 0);
  const [accept, pass, drop, scratch0, scratch1] = bits;
  if (accept === undefined || pass === undefined || drop === undefined) return null;
  if (scratch0 === undefined || scratch1 === undefined) return null;
  return { accept, pass, drop, scratch0, scratch1 };
}

const hex = (bits: number): string => `0x${(bits >>> 0).toString(16)}`;

/** Matches. */
const markIs = (value: number, mask: number): string => `-m mark --mark ${hex(value)}/${hex(mask)}`;
export const markSet = (bit: number): string => markIs(bit, bit);
export const markClear = (bits: number): string => markIs(0, bits);
export const markNotClear = (bits: number): string => `-m mark ! --mark 0x0/${hex(bits)}`;
export const conntrack = (states: string): string => `-m conntrack --ctstate ${states}`;
export const inSet = (set: string, direction: "src" | "dst" | "src,src" | "dst,dst", not = false): string =>
  `-m set ${not ? "! " : ""}--match-set ${set} ${direction}`;

/** Targets. */
export const setMark = (bits: number): string => `-j MARK --set-xmark ${hex(bits)}/${hex(bits)}`;
export const clearMark = (bits: number): string => `-j MARK --set-xmark 0x0/${hex(bits)}`;
export const maskedMark = (bits: number, mask: number): string => `-j MARK --set-xmark ${hex(bits)}/${hex(mask)}`;
export const jump = (chain: string): string => `-j ${chain}`;
export const goTo = (chain: string): string => `-g ${chain}`;
export const ACCEPT = "-j ACCEPT";
export const RETURN = "-j RETURN";
export const NOTRACK = "-j NOTRACK";
/** By family, with its own message. */
export const REJECT = {
  4: "-j REJECT --reject-with icmp-port-unreachable",
  6: "-j REJECT --reject-with icmp6-port-unreachable",
} as const;

/** A rule of its matches, target and comments. */
export function rule(match: string | string[], action: string | null, ...comments: string[]): FelixRule {
  return { match: typeof match === "string" ? (match === "" ? [] : [match]) : match, action, comments };
}

const MAX_COMMENT = 256;

/** A comment as Felix passes it on: what a shell might take for its own is replaced (felix/iptables, escapeComment). */
const comment = (text: string): string =>
  `-m comment --comment "${text.replaceAll(/[^A-Za-z0-9_ @%+=:,./-]/g, "_").slice(0, MAX_COMMENT)}"`;

/** The rule as iptables-save prints it, without its chain and without Felix's hash of it. */
export function ruleText({ match, action, comments }: FelixRule): string {
  return [...match, ...comments.map(comment), ...(action === null ? [] : [action])].join(" ");
}

/** Chain that a rule leads to; null when it leads to none. */
export function targetChain({ action }: FelixRule): string | null {
  return /^-[jg] (cali-\S+)$/.exec(action ?? "")?.[1] ?? null;
}
