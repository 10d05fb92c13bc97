/**
 * Ranges of pods that do not agree: CALICO_IPV4POOL_CIDR of calico-node against the IPPools (it makes one only while there is none:
 * calico/node pkg/lifecycle/startup, configureIPPools), pools against kube-proxy's clusterCIDR (which masquerades what does not come
 * from it, pkg/proxy localdetector), pods against the pools, and nodes' podCIDRs against the cluster's.
 */
import { formatPrefix, inPrefix, parseIp, parsePrefix, type Prefix } from "../../model/address.ts";
import { hasEnded } from "../../names/directory.ts";
import { podCidrs } from "../../networks/calico/ipam/pod-cidrs.ts";
import { overlap, within } from "../../networks/calico/ipam/range.ts";
import { list, object, text } from "../../networks/raw.ts";
import { readIpam } from "../../networks/calico/ipam/read.ts";
import type { IpamState, Pool } from "../../networks/calico/ipam/state.ts";
import { followsPodCidrs, usesCalicoIpam } from "../address-managers.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { clusterCidrs, lineOf } from "../configured-ranges.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { isAstray } from "../lost.ts";
import { objectSources } from "../object-sources.ts";
import { calicoEvidence, calicoRecorded } from "../raw-objects.ts";
import type { Evidence, Undecided } from "../types.ts";

const ID = "pool-mismatch";
const FAMILIES = [4, 6] as const;
const variableOf = (family: 4 | 6): string => `CALICO_IPV${family}POOL_CIDR`;

/** A range that a calico-node would make a pool of. */
interface Wanted {
  family: 4 | 6;
  cidr: string;
  prefix: Prefix;
  /** Machines with this value; null when the DaemonSet says so, which is for all. */
  nodes: string[] | null;
  evidence: Evidence[];
}

const PROGRAMS = ["calico-node", "calico-felix", "felix"] as const;

function wantedByMachines(chart: Chart): Wanted[] {
  const found = new Map<string, Wanted>();
  for (const machine of chart.nodes) {
    const command = PROGRAMS.map((name) => machine.command(name)).find((each) => each !== null);
    if (command === undefined || command.env.get("NO_DEFAULT_POOLS") === "true") continue;
    for (const family of FAMILIES) {
      const cidr = command.env.get(variableOf(family));
      const prefix = cidr === undefined ? null : parsePrefix(cidr);
      if (cidr === undefined || prefix?.ip.v !== family) continue;
      const known = found.get(cidr);
      if (known !== undefined) known.nodes?.push(machine.name);
      else
        found.set(cidr, {
          family,
          cidr,
          prefix,
          nodes: [machine.name],
          evidence: [chart.evidence(command.source, `${variableOf(family)}=${cidr}`)],
        });
    }
  }
  return [...found.values()];
}

function wantedByDaemonSets(chart: Chart): Wanted[] {
  const resource = "daemonsets.apps";
  return (chart.snapshot.cluster.raw.get(resource) ?? []).flatMap((item, at) => {
    const spec = object(object(object(object(item)["spec"])["template"])["spec"]);
    return list(spec["containers"]).flatMap((each): Wanted[] => {
      const env = new Map(
        list(object(each)["env"]).map((one) => [text(object(one)["name"]), text(object(one)["value"])]),
      );
      if (env.get("NO_DEFAULT_POOLS") === "true") return [];
      return FAMILIES.flatMap((family): Wanted[] => {
        const cidr = env.get(variableOf(family)) ?? null;
        const prefix = cidr === null ? null : parsePrefix(cidr);
        if (cidr === null || prefix?.ip.v !== family) return [];
        const source = objectSources(chart.snapshot, resource)[at] ?? { file: `cluster/${resource}.json`, line: 1 };
        const whole = chart.snapshot.text(source.file) ?? "";
        const line = whole.includes(`"${cidr}"`) ? lineOf(whole, `"${cidr}"`) : source.line;
        return [
          {
            family,
            cidr,
            prefix,
            nodes: null,
            evidence: [chart.evidence({ ...source, line }, `${variableOf(family)}: ${cidr}`)],
          },
        ];
      });
    });
  });
}

const poolEvidence = (chart: Chart, pools: readonly Pool[]): Evidence[] =>
  pools.flatMap((pool) =>
    calicoEvidence(
      chart,
      "ippools",
      pool.name,
      `IPPool ${pool.name}: ${formatPrefix(pool.prefix)}${pool.disabled ? ", disabled" : ""}`,
    ),
  );

const named = (pools: readonly Pool[]): string => pools.map((pool) => formatPrefix(pool.prefix)).join(", ");

/** What calico-node was told against the pools that there are. */
function untold(chart: Chart, state: IpamState | null): Suspicion[] {
  const all = [...wantedByMachines(chart), ...wantedByDaemonSets(chart)];
  const calico = chart.nodes.filter((machine) => PROGRAMS.some((name) => machine.command(name) !== null)).length;
  return all.flatMap((wanted): Suspicion[] => {
    const pools = (state?.pools ?? []).filter((pool) => pool.prefix.ip.v === wanted.family);
    // A pool that was split, or made larger, is somebody's decision.
    if (pools.some((pool) => overlap(pool.prefix, wanted.prefix))) return [];
    const enabled = pools.filter((pool) => !pool.disabled && pool.uses.includes("Workload"));
    const variable = `${variableOf(wanted.family)} ${wanted.cidr}`;
    const summary =
      enabled.length === 0
        ? `calico-node was told to use ${variable}, but there is no enabled IPv${wanted.family} pool: the next pod gets no address`
        : `calico-node was told to use ${variable}, but the pools are ${named(enabled)}: pods get addresses of these, and of ${wanted.cidr} only after a start without any pool`;
    const here =
      wanted.nodes === null || wanted.nodes.length === calico
        ? ["cluster"]
        : wanted.nodes.map((node) => `${node}/host`);
    return here.map((at) => ({
      id: ID,
      at,
      summary,
      evidence: [...wanted.evidence, ...poolEvidence(chart, pools)],
      remedy: [
        "# decide which range is meant",
        enabled.length === 0
          ? `kubectl apply -f - <<< '{"apiVersion":"crd.projectcalico.org/v1","kind":"IPPool","metadata":{"name":"pods-${wanted.family}"},"spec":{"cidr":"${wanted.cidr}","blockSize":${wanted.family === 4 ? 26 : 122},"natOutgoing":true,"nodeSelector":"all()"}}'`
          : `kubectl -n kube-system set env daemonset/calico-node ${variableOf(wanted.family)}=${formatPrefix(enabled[0]!.prefix)}`,
      ],
      hurts: [],
      otherwise: "warning",
    }));
  });
}

/** Pools whose pods kube-proxy takes for strangers. */
function beyondKubeProxy(chart: Chart, state: IpamState | null): Suspicion[] {
  const told = clusterCidrs(chart);
  return (state?.pools ?? []).flatMap((pool): Suspicion[] => {
    const ranges = told.filter((each) => each.prefix.ip.v === pool.prefix.ip.v);
    if (pool.disabled || !pool.uses.includes("Workload") || ranges.length === 0) return [];
    if (ranges.some((each) => overlap(each.prefix, pool.prefix))) return [];
    const cidrs = ranges.map((each) => formatPrefix(each.prefix)).join(", ");
    return [
      {
        id: ID,
        at: "cluster",
        summary: `Pool ${pool.name} ${formatPrefix(pool.prefix)} is not in kube-proxy's clusterCIDR ${cidrs}: what its pods send to Services is masqueraded, so that servers and policies see a node's address`,
        evidence: [...poolEvidence(chart, [pool]), ...ranges.flatMap((each) => each.evidence)],
        remedy: [
          `kubectl -n kube-system get configmap kube-proxy -o yaml | sed 's#clusterCIDR: .*#clusterCIDR: ${formatPrefix(pool.prefix)}#' | kubectl apply -f -`,
          "kubectl -n kube-system rollout restart daemonset kube-proxy",
        ],
        hurts: [],
        otherwise: "warning",
      },
    ];
  });
}

/** Pods of Calico's IPAM with addresses of no pool. */
function outsidePools(chart: Chart, state: IpamState | null): Suspicion[] {
  if (state === null) return [];
  const byCalico = new Map(chart.nodes.map((machine) => [machine.name, usesCalicoIpam(machine)]));
  const lost = [...chart.dir.pods.values()].filter((pod) => {
    const told = pod.object;
    if (told === null || told.hostNetwork || hasEnded(pod) || told.node === null) return false;
    // Such a pod was given its address by hand, past IPAM.
    if (told.annotations["cni.projectcalico.org/ipAddrsNoIpam"] !== undefined) return false;
    if (byCalico.get(told.node) !== true) return false;
    return pod.ips.some((address) => {
      const ip = parseIp(address);
      const family = state.pools.filter((pool) => pool.prefix.ip.v === ip?.v);
      return ip !== null && !family.some((pool) => inPrefix(ip, pool.prefix));
    });
  });
  const [first] = lost;
  if (first === undefined) return [];
  const ids = new Set(lost.map((pod) => pod.id));
  // Outside the pools nothing is masqueraded on its way out.
  const takesPart = ({ sender, target: { aim } }: Walked): boolean =>
    (aim.kind === "pod" && ids.has(`${aim.pod.namespace}/${aim.pod.name}`)) ||
    (aim.kind === "outside" && sender.pod !== null && ids.has(`${sender.pod.namespace}/${sender.pod.name}`));
  const hurts = hurtsOf(deathsOf(chart).filter((death) => isAstray(death.disposition))).filter(({ walked }) =>
    takesPart(walked),
  );
  return [
    {
      id: ID,
      at: "cluster",
      summary: `${lost.length === 1 ? "A pod has an address" : `${lost.length} pods have addresses`} of no IP pool (${first.id} ${first.ips.join(", ")}; the pools are ${named(state.pools)}): nobody masquerades what they send out of the cluster, and a new pod may get the same address from elsewhere`,
      evidence: [
        ...poolEvidence(chart, state.pools),
        ...lost
          .slice(0, 3)
          .flatMap((pod) =>
            pod.object === null ? [] : [chart.evidence(pod.object.source, `Pod ${pod.id}: ${pod.ips.join(", ")}`)],
          ),
      ],
      remedy: [
        "# bring the pool back, or let the pods be made anew with addresses of a pool that there is:",
        ...lost.slice(0, 10).map((pod) => `kubectl -n ${pod.namespace} delete pod ${pod.name}`),
      ],
      hurts,
      otherwise: "warning",
    },
  ];
}

/** Nodes' podCIDRs that are in no range of the cluster, where something gives out addresses of them. */
function outsideCluster(chart: Chart): Suspicion[] {
  const followed = new Set(chart.nodes.filter(followsPodCidrs).map((machine) => machine.name));
  const told = clusterCidrs(chart);
  return podCidrs(chart.site)
    .problems.filter((problem) => problem.kind === "outside" && followed.has(problem.node))
    .flatMap(({ node, why }): Suspicion[] => {
      const own = chart.dir.nodes.get(node);
      if (own === undefined) return [];
      // A range of kube-proxy's that covers only some families, or all nodes' but this one's, is judged by what it says.
      const strange = own.podCIDRs
        .map(parsePrefix)
        .filter((prefix) => prefix !== null && !told.some((each) => within(prefix, each.prefix)));
      if (told.length > 0 && strange.length === 0) return [];
      return [
        {
          id: ID,
          at: `${node}/host`,
          summary: `podCIDR ${why}, the cluster's own: its pods are taken for strangers, and masqueraded or not routed`,
          evidence: [
            chart.evidence(own.source, `Node ${node}: podCIDR ${own.podCIDRs.join(", ")}`),
            ...told.flatMap((each) => each.evidence),
          ],
          remedy: [
            `# a Node's podCIDR never changes: move its pods away, and let it register anew`,
            `kubectl drain ${node} --ignore-daemonsets`,
            `kubectl delete node ${node}`,
          ],
          hurts: [],
          otherwise: "warning",
        },
      ];
    });
}

export const poolMismatch: Check = {
  ids: [ID],
  depth: "overlay",
  look(chart): Diagnosis {
    const recorded = calicoRecorded(chart, "ippools");
    const state = readIpam(chart.snapshot.cluster, null);
    const wanted = !recorded && (wantedByMachines(chart).length > 0 || wantedByDaemonSets(chart).length > 0);
    const unknown: Undecided[] = wanted
      ? [{ id: ID, at: "cluster", why: "calico-node names a pool, but the IPPools were not recorded" }]
      : [];
    return {
      suspicions: [
        ...(recorded ? untold(chart, state) : []),
        ...beyondKubeProxy(chart, state),
        ...outsidePools(chart, state),
        ...outsideCluster(chart),
      ],
      unknown,
    };
  },
};
