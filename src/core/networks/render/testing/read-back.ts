/** For tests: what a kernel holds after a rendering was carried out, laid beside the rendering's claims. */
import { compareNamespace } from "../../../diff/diff.ts";
import { Tally } from "../../../diff/tally.ts";
import type { Diff } from "../../../diff/types.ts";
import type { Link } from "../../../model/link.ts";
import type { Snapshot } from "../../../model/snapshot.ts";
import type { Claim } from "../../claim.ts";
import { kernelClaims } from "../../kernel.ts";
import type { RenderedMachine } from "../renderer.ts";

const routeKey = (claim: Claim): string =>
  claim.kind === "route" ? `${claim.state.family} ${claim.state.table} ${claim.state.dst} ${claim.state.metric}` : "";

const isHost = ({ place }: { place: string }): boolean => place.endsWith("/host");

/** Other ends of the veth pairs of a machine and its pods, by place and device: the two know each other by number. */
function pairs(snapshot: Snapshot): Map<string, string> {
  const found = new Map<string, string>();
  for (const ns of snapshot.namespaces)
    for (const link of ns.links)
      for (const other of snapshot.namespaces)
        for (const peer of other.links) {
          const mutual = link.peerIndex === peer.index && peer.peerIndex === link.index;
          // A pair is of one namespace, or of a machine's root namespace and another of its own.
          if (other === ns ? link === peer : other.node !== ns.node || isHost(ns) === isHost(other)) continue;
          if (mutual && link.kind.kind === "veth" && peer.kind.kind === "veth")
            found.set(`${ns.place} ${link.name}`, `${other.place} ${peer.name}`);
        }
  return found;
}

/** What a machine has before the network comes. */
function ownClaims(at: string, { devices, routes }: RenderedMachine): Claim[] {
  const owned = { owner: "machine", at };
  return [
    ...devices.flatMap(({ name, mtu, addresses }): Claim[] => [
      { ...owned, kind: "link", state: { name, type: "veth", mtu, up: true } },
      ...addresses.map((address): Claim => ({ ...owned, kind: "address", state: { dev: name, address } })),
    ]),
    ...routes.map(({ dst, via, dev }): Claim => {
      const family = dst.includes(":") ? 6 : 4;
      const state = { family, table: 254, dst, type: "unicast", metric: family === 4 ? 0 : 1024 } as const;
      return { ...owned, kind: "route", state: { ...state, ways: [{ via, dev }] } };
    }),
  ];
}

/** The difference of claims to a snapshot; what the kernel and the machine's own devices bring is claimed besides. */
export function readBack(snapshot: Snapshot, claims: readonly Claim[], machines: readonly RenderedMachine[]): Diff {
  const tally = new Tally();
  const peers = pairs(snapshot);
  for (const ns of snapshot.namespaces) {
    const own = claims.filter((claim) => claim.at === ns.place);
    const taken = new Set(own.map(routeKey));
    const moved = new Set(
      own.flatMap((claim) =>
        claim.kind === "rule-lookup" && claim.state.action === "lookup local" ? [claim.state.family] : [],
      ),
    );
    const kernel = kernelClaims(ns).filter(
      (claim) =>
        !(claim.kind === "route" && taken.has(routeKey(claim))) &&
        !(claim.kind === "rule-lookup" && claim.state.priority === 0 && moved.has(claim.state.family)),
    );
    const machine = isHost(ns) ? machines.find(({ name }) => name === ns.node) : undefined;
    const uplinks = machine === undefined ? [] : ownClaims(ns.place, machine);
    const peerOf = (link: Link): string | undefined => peers.get(`${ns.place} ${link.name}`);
    compareNamespace(ns, [...own, ...kernel, ...uplinks], peerOf, (source) => snapshot.line(source), tally);
  }
  return tally.result();
}
