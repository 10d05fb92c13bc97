/** What `kubewalk lab` tells in JSON, as types. The JSON Schemas are generated from these (src/core/schema/). */
import type { ClientResult, Proto } from "./walk.ts";

/** A lab that stands, or what is left of one. */
export interface LabListed {
  name: string;
  scenario: string;
  phase: "making" | "up" | "rest";
  namespaces: number;
  /** Faults that stand. */
  broken: string[];
}

/** kubewalk.lab-list/v1 */
export interface LabList {
  format: "kubewalk.lab-list/v1";
  labs: LabListed[];
}

/** Who answered, and as whom it saw the client. */
export interface ProbeServer {
  at: string;
  clientAddress: string;
}

/** What tries of one probe met, those that met the same together. */
export interface ProbeSeen {
  /** As ClientResult; `errno:NAME` for what it has no word for. */
  client: string;
  server: ProbeServer | null;
  count: number;
}

/** One probe: from a place to an address. */
export interface ProbeCell {
  from: string;
  /** What stands at the address: a place, or `svc:NAMESPACE/NAME`. */
  target: string;
  proto: Proto;
  to: string;
  /** Null for an echo. */
  port: number | null;
  seen: ProbeSeen[];
  /** What the engine foretells of it, and whether that is what was seen; null where it says that it does not know. */
  foretold: {
    outcomes: { client: ClientResult; server: ProbeServer | null }[];
    agrees: boolean | null;
    why: string | null;
  } | null;
}

/** kubewalk.lab-probe/v1 */
export interface ProbeReport {
  format: "kubewalk.lab-probe/v1";
  lab: string;
  cells: ProbeCell[];
}

/** A device of a lab's namespace. */
export interface GraphDevice {
  name: string;
  kind: string;
  up: boolean;
  addresses: string[];
  /** Bridge or the like that it belongs to. */
  master: string | null;
}

/** kubewalk.lab-graph/v1 */
export interface LabGraph {
  format: "kubewalk.lab-graph/v1";
  lab: string;
  namespaces: { place: string; netns: string; devices: GraphDevice[] }[];
  /** Pairs of devices, by place and name: veth pairs, and tunnels with the places they lead to. */
  links: { kind: string; from: { place: string; device: string }; to: { place: string; device: string } }[];
}

/** A rule that a packet met, or a chain's policy: `ip nat KUBE-SERVICES rule 3: jump KUBE-SVC-…`. */
export interface MetRule {
  direction: "forward" | "reply";
  text: string;
  /** As iptables-save or nft prints it; empty for a policy. */
  rule: string;
}

/** kubewalk.lab-walk/v1 */
export interface LabWalk {
  format: "kubewalk.lab-walk/v1";
  lab: string;
  from: string;
  proto: Proto;
  to: string;
  port: number | null;
  seen: { client: string; server: ProbeServer | null };
  foretold: { client: ClientResult; server: ProbeServer | null }[];
  /** Whether what was seen is foretold, and the rules are the same everywhere. */
  agrees: boolean;
  places: { at: string; kernel: MetRule[]; engine: MetRule[]; same: boolean }[];
}
