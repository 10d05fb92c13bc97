/** What a network says is its own: pieces of kernel state, each with who put it there and in which namespace. */
import type { NftFamily } from "../model/nftables.ts";
import type {
  AddressState,
  ChainState,
  FdbState,
  LinkState,
  NeighbourState,
  RouteState,
  RuleLookupState,
  RuleState,
  SetState,
  SysctlState,
  XtFamily,
} from "./state.ts";

/** Kinds of state, as contract.md's kubewalk.diff/v1 names them. */
export type Kind =
  | "rule"
  | "chain"
  | "set"
  | "route"
  | "rule-lookup"
  | "neighbour"
  | "fdb"
  | "link"
  | "address"
  | "sysctl";

interface Claimed {
  /** Program or network that puts it there: kube-proxy, flannel, bridge (the CNI plugin), portmap, calico, kubelet, kernel, machine … */
  owner: string;
  /** Place of the namespace: `n1/host`, `n1/pod/shop/web-1`. */
  at: string;
}

/** Which chain a rule stands in. */
export type ChainName =
  | { backend: "iptables"; family: XtFamily; table: string; chain: string }
  | { backend: "nft"; family: NftFamily; table: string; chain: string };

/**
 * A claim. `optional`: it may be there or not (an entry that the kernel learned, a chain that kubelet makes later); when there it is
 * the owner's, when not nothing differs.
 *
 * A chain that is wholly its owner's brings its rules, in their order; nothing else may stand in it. `rules: null` leaves its content
 * to `rule` claims: built-in chains are of the kernel, and the rules in them of many owners. Rules that one owner has in such a chain
 * stand there in the order of its claims. `hashed`: the name is a prefix and a hash that only the program can compute; the chain or
 * set is matched by what it holds among those whose names begin with that prefix (`name`, `chain` are then stand-ins, by which rules
 * of the same owner refer to it). `freeOrder` of a chain: so many of its first rules may stand in any order among each other, because the
 * program writes them from a map that has none; of a rule: it may stand anywhere among its owner's.
 */
export type Claim = Claimed & { optional?: boolean } & (
    | { kind: "link"; state: LinkState }
    | { kind: "address"; state: AddressState }
    | { kind: "route"; state: RouteState }
    | { kind: "rule-lookup"; state: RuleLookupState }
    | { kind: "neighbour"; state: NeighbourState }
    | { kind: "fdb"; state: FdbState }
    | { kind: "sysctl"; state: SysctlState }
    | {
        kind: "chain";
        state: ChainState;
        rules: RuleState[] | null;
        hashed?: string;
        freeOrder?: number;
        freeComments?: true;
      }
    | { kind: "rule"; chain: ChainName; state: RuleState; freeOrder?: true }
    | { kind: "set"; state: SetState; hashed?: string }
  );
