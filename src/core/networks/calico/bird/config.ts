/**
 * BIRD's configuration of one node as confd writes it, for BIRD 1.6 of Calico's own: bird.cfg, bird_aggr.cfg and bird_ipam.cfg, and the
 * same three of IPv6 (node/filesystem/etc/calico/confd/templates).
 */
import { aggregationConfig } from "./aggregation-config.ts";
import type { BirdInput } from "./input.ts";
import { ipamConfig } from "./ipam-config.ts";
import { mainConfig } from "./main-config.ts";

/** BIRD's files of a node and family by their names in /etc/calico/confd/config. */
export function birdFiles(input: BirdInput): Map<string, string> {
  const text = (lines: readonly string[]): string => `${lines.join("\n")}\n`;
  const name = `bird${input.family === 6 ? "6" : ""}`;
  return new Map([
    [`${name}.cfg`, text(mainConfig(input))],
    [`${name}_aggr.cfg`, text(aggregationConfig(input))],
    [`${name}_ipam.cfg`, text(ipamConfig(input))],
  ]);
}
