/**
 * No address for the next pod: every block of Calico's pools in use (libcalico-go/lib/ipam AutoAssign), host-local's range full
 * (plugins/ipam/host-local/backend/allocator), no podCIDR for the node, or none left for the next one (pkg/controller/nodeipam).
 * Pods that run are not hurt, so no walk fails by it.
 */
import { formatPrefix, parsePrefix } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Source } from "../../model/source.ts";
import { nextAddress } from "../../networks/calico/ipam/assign.ts";
import { freeIn } from "../../networks/calico/ipam/block.ts";
import { localSize, nextLocal, type LocalState } from "../../networks/calico/ipam/host-local.ts";
import { readHostLocal } from "../../networks/calico/ipam/host-local-read.ts";
import { localLeaks } from "../../networks/calico/ipam/leaks.ts";
import { podCidrs } from "../../networks/calico/ipam/pod-cidrs.ts";
import { choosePools, enabledPools } from "../../networks/calico/ipam/pools.ts";
import { within } from "../../networks/calico/ipam/range.ts";
import { object, resources, seconds, texts } from "../../networks/raw.ts";
import { readIpam } from "../../networks/calico/ipam/read.ts";
import type { IpamState } from "../../networks/calico/ipam/state.ts";
import { unclaimedCount } from "../../networks/calico/ipam/walk.ts";
import { cniNetworkOf } from "../../networks/cni/conflist.ts";
import { DATA_DIR } from "../../networks/cni/host-local.ts";
import type { Machine } from "../../networks/site.ts";
import { followsPodCidrs, namedSubnets, usesCalicoIpam, usesKubeSubnets } from "../address-managers.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { calicoEvidence } from "../raw-objects.ts";
import type { Evidence } from "../types.ts";

const ID = "ipam-exhausted";
const FAMILIES = [4, 6] as const;

/** Pods that wait for an address, by node. */
function waiting(chart: Chart): Map<string, Pod[]> {
  const found = new Map<string, Pod[]>();
  for (const pod of chart.snapshot.cluster.pods) {
    if (pod.hostNetwork || pod.node === null || pod.ips.length > 0 || pod.phase !== "Pending") continue;
    found.set(pod.node, [...(found.get(pod.node) ?? []), pod]);
  }
  return found;
}

const waitingText = (pods: number): string =>
  pods === 0 ? "" : pods === 1 ? "; a pod waits for one" : `; ${pods} pods wait for one`;

interface Full {
  machine: Machine;
  family: 4 | 6;
  why: string;
}

/** Pools that the CNI configuration of a machine asks for. */
function askedPools(machine: Machine, family: 4 | 6): string[] {
  const plugins = cniNetworkOf(machine)?.plugins ?? [];
  return plugins.flatMap(({ conf }) => texts(object(conf["ipam"])[`ipv${family}_pools`]));
}

function fullOfCalico(chart: Chart, state: IpamState): Full[] {
  const namespace = resources(chart.snapshot.cluster, "namespaces").find(({ name }) => name === "default") ?? null;
  const families = FAMILIES.filter((family) =>
    enabledPools(state, family).some((pool) => pool.automatic && pool.uses.includes("Workload")),
  );
  // Nodes that still have a free address of their own, which need no search.
  const served = new Set(
    [...state.blocks.values()].flatMap((block) =>
      block.owner?.type === "host" && freeIn(block, state.reserved) > 0
        ? [`${block.owner.host} ${block.prefix.ip.v}`]
        : [],
    ),
  );
  // Pools without a free address have none for the next node either.
  const empty = new Map<string, string>();
  return chart.nodes.filter(usesCalicoIpam).flatMap((machine) =>
    families.flatMap((family): Full[] => {
      const request = { node: machine.name, family, namespace, configured: askedPools(machine, family) };
      const choice = choosePools(state, { ...request, use: "Workload", annotations: {} });
      const key = "pools" in choice ? choice.pools.map((pool) => pool.name).join(" ") : "";
      const pools = "pools" in choice ? choice.pools : [];
      if (served.has(`${machine.name} ${family}`) && pools.length === enabledPools(state, family).length) return [];
      const known = empty.get(key);
      if (known !== undefined) return [{ machine, family, why: known }];
      const { assignment } = nextAddress(state, request);
      if (assignment.rule !== "none") return [];
      if (assignment.why.startsWith("every address of ")) empty.set(key, assignment.why);
      return [{ machine, family, why: assignment.why }];
    }),
  );
}

/** Pools of a family with how full they are. */
function poolEvidence(chart: Chart, state: IpamState, family: 4 | 6): Evidence[] {
  return enabledPools(state, family).flatMap((pool) => {
    const blocks = [...state.blocks.values()].filter(({ prefix }) => within(prefix, pool.prefix));
    const used = blocks.reduce((sum, block) => sum + block.allocations.size, 0);
    const said = `IPPool ${pool.name} ${formatPrefix(pool.prefix)}: ${blocks.length} blocks claimed, ${unclaimedCount(state, pool)} not; ${used} addresses in use`;
    return calicoEvidence(chart, "ippools", pool.name, said);
  });
}

function remedyOfCalico(why: string): string[] {
  const look =
    "calicoctl ipam check --show-problem-ips   # addresses that nobody has any more: calicoctl ipam release --ip=ADDRESS";
  if (why.includes("blocks without a free address"))
    return [
      look,
      "calicoctl ipam configure --max-blocks-per-host=0   # and raise maxBlocksPerHost of IPAMConfig default",
    ];
  if (why.includes("strictAffinity"))
    return [look, "calicoctl ipam configure --strictaffinity=false   # or add a pool:", addPool];
  if (why.includes("no pool selects"))
    return ["kubectl get ippools.crd.projectcalico.org -o yaml   # then mend nodeSelector or namespaceSelector"];
  return [look, addPool];
}

const addPool =
  'calicoctl create -f - <<< \'{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"more-pods"},"spec":{"cidr":"A.RANGE.OF.YOURS/16","natOutgoing":true}}\'';

function ofCalico(chart: Chart, pending: ReadonlyMap<string, Pod[]>): Suspicion[] {
  const state = readIpam(chart.snapshot.cluster, seconds(chart.snapshot.takenAt));
  if (state === null) return [];
  const full = fullOfCalico(chart, state);
  return FAMILIES.flatMap((family): Suspicion[] => {
    const here = full.filter((each) => each.family === family);
    const all = chart.nodes.filter(usesCalicoIpam).length;
    const sameWhy = new Set(here.map(({ machine, why }) => why.replaceAll(machine.name, "")));
    const one = (at: string, who: string, why: string, pods: number): Suspicion => ({
      id: ID,
      at,
      summary: `The next pod on ${who} gets no IPv${family} address: ${why}${waitingText(pods)}`,
      evidence: poolEvidence(chart, state, family),
      remedy: remedyOfCalico(why),
      hurts: [],
      otherwise: "warning",
    });
    const [first] = here;
    if (first !== undefined && here.length === all && all > 1 && sameWhy.size === 1) {
      const pods = here.reduce((sum, each) => sum + (pending.get(each.machine.name)?.length ?? 0), 0);
      return [one("cluster", "every node", first.why, pods)];
    }
    return here.map(({ machine, why }) =>
      one(machine.place, machine.name, why, pending.get(machine.name)?.length ?? 0),
    );
  });
}

/** The file that says which range host-local has. */
function rangeSource(machine: Machine, local: LocalState): Source | null {
  const env = machine.file("/run/flannel/subnet.env");
  const network = cniNetworkOf(machine);
  if (network?.plugins.some(({ type }) => type === "flannel") === true && env !== null) return env.source;
  return network === null
    ? (machine.file(`${DATA_DIR}/${local.network}/lock`)?.source ?? null)
    : { file: network.file, line: 1 };
}

function ofHostLocal(chart: Chart, pending: ReadonlyMap<string, Pod[]>): Suspicion[] {
  return chart.nodes.flatMap((machine): Suspicion[] => {
    const local = readHostLocal(machine);
    if (local === null) return [];
    return local.sets.flatMap((set, place): Suspicion[] => {
      if (nextLocal(local, place).address !== null) return [];
      const leaked = chart.snapshot.cluster.missing.has("pods") ? [] : localLeaks(chart.snapshot.cluster, local);
      const cidrs = set.ranges.map((range) => formatPrefix(range.prefix)).join(", ");
      const folder = `${DATA_DIR}/${local.network}`;
      const unused = leaked.length === 0 ? "" : `, ${leaked.length} of them held for no pod that there is`;
      const source = rangeSource(machine, local);
      const last = machine.file(`${folder}/last_reserved_ip.${place}`);
      return [
        {
          id: ID,
          at: machine.place,
          summary: `The next pod on ${machine.name} gets no address: all ${localSize(set)} of ${cidrs} are given out${unused}${waitingText(pending.get(machine.name)?.length ?? 0)}`,
          evidence: [
            ...(source === null ? [] : [chart.evidence(source, `ranges of host-local: ${cidrs}`)]),
            ...(last === null ? [] : [chart.evidence(last.source, `last given out: ${last.text.trim()}`)]),
          ],
          remedy:
            leaked.length > 0
              ? [
                  `# on ${machine.name}, what no pod holds:`,
                  ...leaked.slice(0, 5).map((each) => `rm ${folder}/${each.address}`),
                ]
              : [`# on ${machine.name}: give it a larger range, or fewer pods`, `kubectl cordon ${machine.name}`],
          hurts: [],
          otherwise: "warning",
        },
      ];
    });
  });
}

/**
 * What a node without a podCIDR lacks, where the others use theirs: an address for the next pod (or flanneld its lease at the next
 * start), or nothing as long as its own configuration names a range. Null where podCIDRs mean nothing.
 */
function lacksCidr(chart: Chart, machine: Machine): "addresses" | "nothing" | null {
  if (machine.node === null || machine.node.podCIDRs.length > 0) return null;
  if (!chart.nodes.some((other) => (other.node?.podCIDRs.length ?? 0) > 0 && followsPodCidrs(other))) return null;
  const network = cniNetworkOf(machine);
  if (network === null || usesKubeSubnets(machine) || network.plugins.some(({ type }) => type === "flannel"))
    return "addresses";
  const managers = network.plugins.map(({ conf }) => String(object(conf["ipam"])["type"] ?? ""));
  if (!managers.every((each) => each === "" || each === "host-local")) return null;
  const subnets = network.plugins.flatMap(({ conf }) => namedSubnets(object(conf["ipam"])));
  return subnets.length === 0 || subnets.some((subnet) => /^usePodCidr/i.test(subnet)) ? "addresses" : "nothing";
}

function ofPodCidrs(chart: Chart, pending: ReadonlyMap<string, Pod[]>): Suspicion[] {
  const { cluster } = podCidrs(chart.site);
  // What a node's share is, the nodes themselves tell; without the controller manager's flags it is a guess otherwise.
  const lengths = new Map(FAMILIES.map((family) => [family, sharesOf(chart, family)]));
  const full = cluster.filter(({ cidr, nodeMask, size, used }) => {
    const shares = lengths.get(cidr.includes(":") ? 6 : 4);
    return shares?.size === 1 && shares.has(nodeMask) && BigInt(used) >= size;
  });
  const fullText = full
    .map(({ cidr, nodeMask, size }) => `all ${size} /${nodeMask} of the cluster's ${cidr} are taken`)
    .join(", ");
  const lacking = chart.nodes.flatMap((machine) => {
    const lacks = lacksCidr(chart, machine);
    return lacks === null || machine.node === null ? [] : [{ machine, lacks, source: machine.node.source }];
  });
  const missing = lacking.map(({ machine, lacks, source }): Suspicion => {
    const waits = waitingText(pending.get(machine.name)?.length ?? 0);
    const then =
      lacks === "addresses"
        ? "the next pod there gets no address"
        : "pods there get addresses of the range that its CNI configuration names by itself";
    return {
      id: ID,
      at: machine.place,
      summary: `Node ${machine.name} has no podCIDR (${fullText === "" ? "no controller gave it one" : fullText}): ${then}${waits}`,
      evidence: [chart.evidence(source, `Node ${machine.name}: no podCIDR`)],
      remedy:
        fullText === ""
          ? [
              "# start kube-controller-manager with --allocate-node-cidrs=true, or give it one yourself:",
              `kubectl patch node ${machine.name} -p '{"spec":{"podCIDR":"A.FREE.RANGE/24","podCIDRs":["A.FREE.RANGE/24"]}}'`,
            ]
          : [
              "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDR   # delete Nodes that are gone, or give kube-controller-manager a larger --cluster-cidr",
            ],
      hurts: [],
      otherwise: lacks === "addresses" ? "warning" : "info",
    };
  });
  if (lacking.length > 0 || full.length === 0 || !chart.nodes.some(followsPodCidrs)) return missing;
  const evidence = chart.nodes
    .slice(0, 3)
    .flatMap(({ node }) =>
      node === null ? [] : [chart.evidence(node.source, `Node ${node.name}: podCIDR ${node.podCIDRs.join(", ")}`)],
    );
  return [
    {
      id: ID,
      at: "cluster",
      summary: `The next node that joins gets no podCIDR: ${fullText}`,
      evidence,
      remedy: [
        "# give kube-controller-manager a larger --cluster-cidr, or nodes a smaller share (--node-cidr-mask-size); Nodes that are gone:",
        "kubectl get nodes",
      ],
      hurts: [],
      otherwise: "info",
    },
  ];
}

function sharesOf(chart: Chart, family: 4 | 6): Set<number> {
  const prefixes = chart.nodes.flatMap(({ node }) => node?.podCIDRs.map(parsePrefix) ?? []);
  return new Set(prefixes.flatMap((prefix) => (prefix?.ip.v === family ? [prefix.len] : [])));
}

export const ipamExhausted: Check = {
  ids: [ID],
  depth: "overlay",
  look(chart): Diagnosis {
    const pending = waiting(chart);
    return { suspicions: [...ofCalico(chart, pending), ...ofHostLocal(chart, pending), ...ofPodCidrs(chart, pending)] };
  },
};
