/** What the kernel of such a host holds: its addresses on lo, what BIRD learned, the rules that lead to BIRD's table, and settings. */
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import { bare, checkHost, families, familyOf, learnedOf, type HostBird } from "./host.ts";
import { MAIN_TABLE } from "../state.ts";

/** BIRD 2's metric in the kernel when nothing says another (nest/proto-krt, krt_metric). */
const METRIC = 32;
const PRIORITY = 1000;

type Unclaimed = Claim extends infer Each ? (Each extends Claim ? Omit<Each, "owner" | "at"> : never) : never;

function routes(host: HostBird, family: 4 | 6): Unclaimed[] {
  const src = bare(host.services.find((each) => familyOf(each) === family)!);
  const ways = host.uplinks
    .filter(({ router }) => familyOf(router) === family)
    .map(({ dev, router }) => ({ via: router, dev, weight: 1 }));
  return learnedOf(host, family).map((dst) => ({
    kind: "route",
    state: {
      family,
      table: host.table ?? MAIN_TABLE,
      dst,
      type: "unicast",
      metric: METRIC,
      protocol: "bird",
      src,
      ways,
    },
  }));
}

/** The host's own routes come first, so that neighbours on its links are not looked for at the routers. */
function rules(host: HostBird, family: 4 | 6): Unclaimed[] {
  const table = host.table ?? MAIN_TABLE;
  if (table === MAIN_TABLE) return [];
  const first = host.priority ?? PRIORITY;
  const rule = (priority: number, action: string): Unclaimed => ({
    kind: "rule-lookup",
    state: { family, priority, selector: "from all", action },
  });
  return [rule(first, "lookup main"), rule(first + 1, `lookup ${table}`)];
}

function sysctls(host: HostBird, family: 4 | 6): Unclaimed[] {
  const set = (key: string, value: string): Unclaimed => ({ kind: "sysctl", state: { key, value } });
  // Connections are spread by their ports as well (1), not by addresses alone.
  const policy = set(`net.ipv${family}.fib_multipath_hash_policy`, "1");
  if (family === 6) return [policy];
  const uplinks = host.uplinks.filter(({ router }) => familyOf(router) === 4);
  // What comes in by one uplink may be answered by the other: only loose filtering lets it in (2).
  return [policy, ...uplinks.map(({ dev }) => set(sysctlConf("ipv4", dev, "rp_filter"), "2"))];
}

/** Claims of the host's BIRD. The uplinks and their addresses are the machine's own. Throws HostBirdError when the description makes no sense. */
export function hostBirdClaims(host: HostBird): Claim[] {
  checkHost(host);
  const addresses = host.services.map((address): Unclaimed => ({
    kind: "address",
    state: { dev: "lo", address, scope: "global" },
  }));
  const each = families(host).flatMap((family) => [
    ...routes(host, family),
    ...rules(host, family),
    ...sysctls(host, family),
  ]);
  return [...addresses, ...each].map((claim): Claim => ({ owner: "bird", at: host.place, ...claim }) as Claim);
}
