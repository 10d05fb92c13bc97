/** Nodes that should speak BGP and do not. */
import type { Namespace } from "../model/namespace.ts";
import type { Source } from "../model/source.ts";
import type { Machine } from "../networks/site.ts";
import { environment } from "../networks/calico/felix-parameters.ts";
import { listensForBgp } from "./bgp-walks.ts";
import type { Chart } from "./chart.ts";

/** Where BIRD's configuration is: what confd makes for calico-node, and Debian's and BIRD's own places. */
const CONFIGS = ["/etc/calico/confd/config/bird.cfg", "/etc/bird/bird.conf", "/etc/bird.conf"];

/** The line of a machine's configuration that has BIRD speak to someone; null when none does. */
export function sessionLine(machine: Machine): Source | null {
  const backend = environment(machine, "CALICO_NETWORKING_BACKEND");
  if (backend !== null && backend !== "bird") return null;
  for (const path of CONFIGS) {
    const config = machine.file(path);
    const at = config?.text.split("\n").findIndex((line) => /^\s*protocol bgp\b/.test(line)) ?? -1;
    if (config !== null && at >= 0) return { file: config.source.file, line: at + 1 };
  }
  return null;
}

const made = new WeakMap<Chart, Namespace[]>();

/** Nodes whose BIRD has sessions to keep and does not listen on TCP 179. */
export function silentSpeakers(chart: Chart): readonly Namespace[] {
  let found = made.get(chart);
  if (found === undefined) {
    found = chart.nodes.flatMap((machine) => {
      const host = chart.dir.places.get(machine.place);
      if (host === undefined || host.missing.has("sockets") || sessionLine(machine) === null) return [];
      return listensForBgp(host) ? [] : [host];
    });
    made.set(chart, found);
  }
  return found;
}
