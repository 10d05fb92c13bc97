/** IPAM's state from the recorded objects of Calico's datastore in Kubernetes (crd.projectcalico.org/v1). */
import { formatPrefix, parsePrefix } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { width } from "./range.ts";
import { list, object, resources, seconds, text, textMap, texts, whole, type Resource } from "../../raw.ts";
import type { Affinity, Allocation, Block, Config, IpamState, Owner, Pool } from "./state.ts";

/** Handles of what Windows keeps for itself in every block do not make a block used (libcalico-go/lib/ipam, WindowsReservedHandle). */
export const WINDOWS_HANDLE = "windows-reserved-ipam-handle";

/** API group of the objects in the datastore. */
const GROUP = "crd.projectcalico.org";

const bool = (value: unknown, otherwise: boolean): boolean =>
  typeof value === "boolean" ? value : typeof value === "string" ? value === "true" : otherwise;

/** A pool of an IPPool; null when its range or block size makes no sense. Defaults are those of libcalico-go's clientv3/ippool.go. */
function poolOf({ name, spec, status, deleting }: Resource): Pool | null {
  const prefix = parsePrefix(text(spec["cidr"]) ?? "");
  if (prefix === null) return null;
  const four = prefix.ip.v === 4;
  const blockSize = whole(spec["blockSize"]) || (four ? 26 : 122);
  if (blockSize < (four ? 20 : 116) || blockSize > width(prefix.ip.v) || blockSize < prefix.len) return null;
  const uses = texts(spec["allowedUses"]);
  const refused = list(status["conditions"]).some((each) => {
    const condition = object(each);
    return condition["type"] === "Allocatable" && condition["status"] === "False";
  });
  return {
    name,
    prefix,
    blockSize,
    disabled: bool(spec["disabled"], false) || deleting || refused,
    nodeSelector: text(spec["nodeSelector"]),
    namespaceSelector: text(spec["namespaceSelector"]),
    uses: uses.length > 0 ? uses : ["Workload", "Tunnel"],
    automatic: (text(spec["assignmentMode"]) ?? "Automatic") === "Automatic",
  };
}

/** `host:n1`, `virtual:load-balancer`; null for anything else. */
function ownerOf(affinity: unknown): Owner | null {
  const found = /^(host|virtual):(.+)$/.exec(text(affinity) ?? "");
  return found === null ? null : { type: found[1] as Owner["type"], host: found[2]! };
}

function allocationsOf(spec: Resource["spec"], size: number): Map<number, Allocation> {
  const attributes = list(spec["attributes"]).map((each) => {
    const { handle_id: handle, secondary, activeOwnerAttrs } = object(each);
    return { handle: text(handle), attributes: { ...textMap(secondary), ...textMap(activeOwnerAttrs) } };
  });
  const out = new Map<number, Allocation>();
  list(spec["allocations"])
    .slice(0, size)
    .forEach((index, ordinal) => {
      if (typeof index !== "number") return;
      out.set(ordinal, { ordinal, ...(attributes[index] ?? { handle: null, attributes: {} }) });
    });
  return out;
}

/** A block of an IPAMBlock; null when it is marked deleted or its range makes no sense. */
function blockOf({ spec }: Resource): Block | null {
  const prefix = parsePrefix(text(spec["cidr"]) ?? "");
  if (prefix === null || bool(spec["deleted"], false)) return null;
  const bits = width(prefix.ip.v) - prefix.len;
  if (bits > 16) return null;
  const size = 1 << bits;
  const allocations = allocationsOf(spec, size);
  const free = list(spec["unallocated"]).filter((n): n is number => {
    const ordinal = whole(n);
    return ordinal !== null && ordinal >= 0 && ordinal < size && !allocations.has(ordinal);
  });
  return { prefix, owner: ownerOf(spec["affinity"]), claimed: seconds(spec["affinityClaimTime"]), allocations, free };
}

/** An affinity of a BlockAffinity; null when it is marked deleted or its range makes no sense. */
function affinityOf({ name, spec }: Resource): Affinity | null {
  const prefix = parsePrefix(text(spec["cidr"]) ?? "");
  const host = text(spec["node"]);
  if (prefix === null || host === null || bool(spec["deleted"], false)) return null;
  const type = text(spec["type"]) === "virtual" ? "virtual" : "host";
  return { name, owner: { type, host }, prefix, state: text(spec["state"]) ?? "confirmed" };
}

function configOf(cluster: Cluster): Config {
  const spec = resources(cluster, `ipamconfigs.${GROUP}`).find(({ name }) => name === "default")?.spec ?? {};
  return {
    strict: bool(spec["strictAffinity"], false),
    autoAllocate: bool(spec["autoAllocateBlocks"], true),
    maxBlocksPerHost: whole(spec["maxBlocksPerHost"]) ?? 0,
  };
}

/** The blocks that were recorded, those that make no sense left out. */
export function recordedBlocks(cluster: Cluster): Block[] {
  return resources(cluster, `ipamblocks.${GROUP}`)
    .map(blockOf)
    .filter((block) => block !== null);
}

/**
 * The state of Calico's IPAM as the snapshot has it; null when no IP pool was recorded. `now`: when it was taken, seconds since 1970.
 * Objects that make no sense are left out, as Calico itself passes them over.
 */
export function readIpam(cluster: Cluster, now: number | null): IpamState | null {
  const all = (resource: string): Resource[] => resources(cluster, `${resource}.${GROUP}`);
  const pools = all("ippools")
    .map(poolOf)
    .filter((pool) => pool !== null);
  if (pools.length === 0) return null;
  return {
    pools,
    blocks: new Map(recordedBlocks(cluster).map((block) => [formatPrefix(block.prefix), block])),
    affinities: all("blockaffinities")
      .map(affinityOf)
      .filter((affinity) => affinity !== null),
    config: configOf(cluster),
    reserved: all("ipreservations")
      .flatMap(({ spec }) => texts(spec["reservedCIDRs"]))
      .map(parsePrefix)
      .filter((prefix) => prefix !== null),
    nodes: new Map(cluster.nodes.map((node) => [node.name, node.labels])),
    now,
  };
}
