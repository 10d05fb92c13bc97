/**
 * BIRD is not running on a node whose pods' routes it should tell the others: nothing listens on TCP 179 there. Peers keep its routes for
 * the time of graceful restart (120 s in BIRD), then withdraw them; its own stay as they were (`persist`), and no new ones come.
 */
import { formatPrefix } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion, Hurt } from "../check.ts";
import { sessionLine, silentSpeakers } from "../bgp-speakers.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { lostFor } from "../missing-routes.ts";
import { isReached, strayed } from "../peer-routes.ts";
import { podNetworks } from "../pod-networks.ts";
import type { Evidence } from "../types.ts";

/** Walks that die because others have no route to this node's pods, or it none to theirs. */
function hurtsOfSilence(chart: Chart, host: Namespace): Hurt[] {
  const own = podNetworks(chart).byNode.get(host.node) ?? [];
  const towards = chart.hosts
    .filter((other) => other !== host)
    .flatMap((other) => own.flatMap((network) => lostFor(chart, { host: other, network })));
  return hurtsOf([...towards, ...strayed(chart, deathsOf(chart), host)]);
}

function suspicion(chart: Chart, host: Namespace): Suspicion {
  const own = podNetworks(chart).byNode.get(host.node) ?? [];
  const others = chart.hosts.filter((each) => each !== host);
  const without = own.flatMap((network) =>
    others.filter((each) => !isReached(chart, each.node, network)).map((each) => ({ each, network })),
  );
  const hurts = hurtsOfSilence(chart, host);
  const machine = chart.nodes.find((each) => each.place === host.place);
  const session = machine === undefined ? null : sessionLine(machine);
  const evidence: Evidence[] = [
    chart.evidence({ file: `${host.dir}/sockets.txt`, line: 1 }, "nothing listens on tcp port 179"),
    ...(session === null ? [] : [chart.evidence(session)]),
    ...without
      .slice(0, 3)
      .map(({ each, network }) =>
        chart.evidence(
          { file: `${each.dir}/route${network.prefix.ip.v}.json`, line: 1 },
          `${each.node} has no route ${formatPrefix(network.prefix)} via ${host.node}`,
        ),
      ),
  ];
  return {
    id: "bgp-down",
    at: host.place,
    summary: `BIRD does not run on ${host.node}: it tells nobody the routes to its pods, and hears of none${
      hurts.length > 0 ? "" : "; the others drop its routes when the time of graceful restart is over"
    }`,
    evidence,
    remedy: [
      `# the calico-node pod of ${host.node} runs BIRD: see why it does not, then restart it`,
      `kubectl get pods -A -l k8s-app=calico-node --field-selector spec.nodeName=${host.node}`,
    ],
    hurts,
    otherwise: "warning",
  };
}

function look(chart: Chart): Diagnosis {
  const unknown = chart.nodes.flatMap((machine) => {
    const why = chart.dir.places.get(machine.place)?.missing.get("sockets");
    return why === undefined || sessionLine(machine) === null
      ? []
      : [{ id: "bgp-down", at: machine.place, why: `whether BIRD listens was not recorded: ${why}` }];
  });
  return { suspicions: silentSpeakers(chart).map((host) => suspicion(chart, host)), unknown };
}

export const bgpDown: Check = { ids: ["bgp-down"], depth: "underlay", look };
