/**
 * A pod cannot reach itself through its Service: the frame has to leave by the bridge port that it came in by, which a port without
 * hairpin mode refuses (should_deliver, net/bridge/br_forward.c); or it comes back with the pod's own address as its source, which the
 * pod's kernel refuses, because nothing masqueraded it.
 */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Link } from "../../model/link.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";

/** Whether the packet came back to who sent it: its last destination is an address of the sender, and by the objects no other pod's. */
function toItself(chart: Chart, death: Death): boolean {
  const { sender } = death.example;
  if (sender.kind !== "pod") return false;
  const changed = death.forward.findLast((step) => step.layer === 0 && step.changed?.dst !== undefined)?.changed?.dst;
  const ip = parseIp(changed ?? "");
  const own = chart.dir.places.get(sender.place)?.links.flatMap((link) => link.addresses) ?? [];
  if (ip === null || !own.some((each) => formatIp(each.ip) === formatIp(ip))) return false;
  return sender.pod?.ips.some((each) => parseIp(each)?.key === ip.key) === true;
}

/** The port of a host's bridge behind which a sender is. */
function portOf(chart: Chart, host: Namespace, death: Death): Link | undefined {
  const machine = chart.site.machines.find((each) => each.place === host.place);
  const name = machine?.sandboxes.find((each) => each.place === death.example.sender.place)?.hostDevice?.name;
  const link = host.links.find((each) => each.name === name);
  return link?.master === null ? undefined : link;
}

interface Off {
  host: Namespace;
  bridge: string;
  ports: Map<string, Link>;
  deaths: Death[];
}

function ports(chart: Chart): Off[] {
  const found = new Map<string, Off>();
  for (const death of deathsOf(chart)) {
    const host = chart.dir.places.get(`${death.example.sender.node}/host`);
    if (host === undefined || death.at !== host.place || !toItself(chart, death)) continue;
    const port = portOf(chart, host, death);
    if (port?.master == null || port.port?.hairpin !== false || !death.text.startsWith(`${port.name} `)) continue;
    const key = `${host.place} ${port.master}`;
    const off = found.get(key) ?? { host, bridge: port.master, ports: new Map<string, Link>(), deaths: [] };
    off.ports.set(port.name, port);
    off.deaths.push(death);
    found.set(key, off);
  }
  return [...found.values()];
}

/** Pods that get their own packets back with their own address. */
function unmasked(chart: Chart): Death[] {
  return deathsOf(chart).filter(
    (death) => death.disposition === "martian" && death.at === death.example.sender.place && toItself(chart, death),
  );
}

function look(chart: Chart): Diagnosis {
  const suspicions = ports(chart).map(({ host, bridge, ports: off, deaths }): Suspicion => {
    const names = [...off.keys()];
    const shown = names.length > 3 ? `${names.length} ports` : names.join(", ");
    return {
      id: "hairpin-off",
      at: host.place,
      summary: `Hairpin mode is off on ${shown} of bridge ${bridge} on ${host.node}: the pods behind can't reach themselves through their Services`,
      evidence: [...off.values()]
        .slice(0, 5)
        .map((link) => chart.evidence(link.port?.source ?? link.source, `${link.name} master ${bridge} hairpin off`)),
      remedy: [
        ...names.slice(0, 20).map((name) => `bridge link set dev ${name} hairpin on`),
        `# for pods to come: "hairpinMode": true of the bridge plugin in /etc/cni/net.d on ${host.node}`,
      ],
      hurts: hurtsOf(deaths),
      otherwise: null,
    };
  });
  const byNode = new Map<string, Death[]>();
  for (const death of unmasked(chart)) {
    const place = `${death.example.sender.node}/host`;
    byNode.set(place, [...(byNode.get(place) ?? []), death]);
  }
  for (const [at, deaths] of byNode)
    suspicions.push({
      id: "hairpin-off",
      at,
      summary: `Pods of ${at.split("/")[0]} that are sent to themselves by their Service get packets with their own address as the source, because nothing masquerades these`,
      evidence: deaths
        .flatMap((death) => (death.source === undefined ? [] : [chart.evidence(death.source, death.text)]))
        .slice(0, 3),
      remedy: [
        "# kube-proxy marks such connections to be masqueraded: restart it on the node, and look for what accepts them before KUBE-POSTROUTING",
      ],
      hurts: hurtsOf(deaths),
      otherwise: null,
    });
  return { suspicions };
}

export const hairpinOff: Check = { ids: ["hairpin-off"], depth: "machine", look };
