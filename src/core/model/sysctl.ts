/** Kernel settings of one namespace, `sysctl -a -r ^net`. */
import type { Source } from "./source.ts";

/** Keys in dotted form; a dot within an interface's name is written `/`, as sysctl(8) prints it (`net.ipv4.conf.flannel/1.forwarding`). */
export interface Sysctls {
  file: string;
  values: Map<string, { value: string; line: number }>;
}

/** A setting as a number; `fallback` when it was not recorded or is no number. */
export function sysctlNumber(s: Sysctls, key: string, fallback: number): number {
  const v = s.values.get(key);
  if (v === undefined) return fallback;
  const n = Number(v.value);
  return Number.isFinite(n) ? n : fallback;
}

/** Where a setting stands; null when it was not recorded. */
export function sysctlSource(s: Sysctls, key: string): Source | null {
  const v = s.values.get(key);
  return v === undefined ? null : { file: s.file, line: v.line };
}

/** The key of a per-interface setting: `sysctlConf("ipv4", "flannel.1", "forwarding")`. */
export function sysctlConf(family: "ipv4" | "ipv6", dev: string, name: string): string {
  return `net.${family}.conf.${dev.replaceAll(".", "/")}.${name}`;
}
