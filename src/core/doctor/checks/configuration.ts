/**
 * What somebody wants of a machine's network against what it has (NetworkManager reads its profiles when it starts or is told to, and
 * nmstate's policies can fail on the way), and what cannot be as it is written: the program refuses it when it reads it next.
 */
import { inPrefix, parsePrefix } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import { ParseError } from "../../model/source.ts";
import { notApplied, type NotApplied } from "../../networks/nmstate/compare.ts";
import type { DesiredProblem } from "../../networks/nmstate/desired.ts";
import { readNmstate, selects, type NmstatePolicy } from "../../networks/nmstate/nmstate-read.ts";
import { desiredOf, POLICIES, type DesiredOfMachine } from "../../networks/nmstate/of-machine.ts";
import type { Machine } from "../../networks/site.ts";
import { haproxyOf, keepalivedOf, virtualAddresses } from "../../networks/vip/recorded.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { failuresWhere } from "../decided.ts";
import { lostOf } from "../lost.ts";
import type { Undecided } from "../types.ts";

const NOT_APPLIED = "configuration-not-applied";
const IMPOSSIBLE = "configuration-impossible";
/** Wishes that one finding shows. */
const MOST_SHOWN = 10;

/** Addresses that other programs put beside those of the configuration: keepalived's, and those of Services. */
function floating(chart: Chart): Set<string> {
  const services = chart.snapshot.cluster.services.flatMap((each) => [
    ...each.loadBalancerIPs,
    ...each.externalIPs,
    ...each.clusterIPs,
  ]);
  return new Set([...virtualAddresses(chart.site).byAddress.keys(), ...services]);
}

/** Whether a difference is only that a device has more addresses than it was given, and those are guests. */
function isGuest(difference: NotApplied, guests: ReadonlySet<string>): boolean {
  if (!difference.desired.startsWith("only ") || difference.actual === null) return false;
  return difference.actual.split(", ").every((each) => {
    const [address = "", len] = each.split("/");
    // A lone address is nobody's network: a load balancer's or a router's.
    return guests.has(address) || len === (address.includes(":") ? "128" : "32");
  });
}

/** Walks that fail because a wish is not fulfilled. */
function hurtBy(chart: Chart, host: Namespace, differences: readonly NotApplied[]): Hurt[] {
  const wanted = new Set(
    differences.flatMap(({ what, desired }) => (what.includes("address of ") ? [desired.split("/")[0] ?? ""] : [])),
  );
  const routes = differences
    .filter(({ what, desired }) => what.startsWith("route to ") && desired !== "absent")
    .map(({ what }) => parsePrefix(what.slice("route to ".length)))
    .filter((prefix) => prefix !== null);
  const devices = new Set(
    differences.flatMap(({ what, actual }) =>
      what.startsWith("state of ") && actual === "down" ? [what.slice("state of ".length)] : [],
    ),
  );
  const links = host.links.filter((link) => devices.has(link.name)).map(({ source }) => source);
  const byLink = failuresWhere(chart, ({ because }) =>
    links.some((each) => each.file === because.source?.file && each.line === because.source.line),
  );
  const byAddress = wanted.size === 0 ? [] : lostOf(chart.failures.filter(({ target }) => wanted.has(target.address)));
  const byRoute = hurtsOf(
    deathsOf(chart).filter(
      (death) =>
        death.disposition === "no-route" &&
        death.at === host.place &&
        routes.some((prefix) => death.routes.some(({ dst }) => dst !== null && inPrefix(dst, prefix))),
    ),
  );
  const seen = new Map<string, Hurt>();
  for (const hurt of [...byLink, ...byAddress, ...byRoute]) seen.set(JSON.stringify(hurt.walked.question), hurt);
  return [...seen.values()];
}

const wish = ({ what, desired, actual }: NotApplied): string =>
  `${what}: wanted ${desired}, is ${actual ?? "not there"}`;

const isProfile = (file: string): boolean => file.endsWith(".nmconnection");

/** What makes a file's wishes come true. */
function apply(file: string, node: string): string[] {
  if (isProfile(file)) {
    const path = file.slice(file.indexOf("/files/") + "/files".length);
    return [
      `# on ${node}; this may cut connections, your own among them`,
      "nmcli connection reload",
      `nmcli connection up filename ${path}`,
    ];
  }
  if (file === POLICIES)
    return [
      "kubectl get nodenetworkconfigurationenactments",
      "kubectl get nodenetworkconfigurationpolicies -o yaml   # status.conditions tell why",
    ];
  return [`# on ${node}:`, `nmstatectl apply ${file.slice(file.indexOf("/files/") + "/files".length)}`];
}

/** Of differences those of each file. */
function byFile(differences: readonly NotApplied[]): NotApplied[][] {
  const found = new Map<string, NotApplied[]>();
  for (const each of differences) found.set(each.source.file, [...(found.get(each.source.file) ?? []), each]);
  return [...found.values()];
}

function unfulfilled(
  chart: Chart,
  machine: Machine,
  host: Namespace,
  desired: DesiredOfMachine,
  guests: ReadonlySet<string>,
): Suspicion[] {
  const resolvConf = machine.file("/etc/resolv.conf")?.text ?? null;
  const all = desired.states
    .flatMap((state) => notApplied(state, host, resolvConf))
    .filter((each) => !isGuest(each, guests));
  return byFile(all).map((differences): Suspicion => {
    const [first] = differences;
    const { file } = first!.source;
    const more = differences.length > 1 ? `, and ${differences.length - 1} more` : "";
    const policy = file === POLICIES;
    return {
      id: NOT_APPLIED,
      at: host.place,
      summary: `${machine.name} does not have what ${policy ? "a NodeNetworkConfigurationPolicy" : file.slice(file.lastIndexOf("/") + 1)} asks for (${wish(first!)}${more}): ${policy ? "the policy failed, or was not tried as yet" : "it changes when the configuration is read next, at the latest when the machine starts again"}`,
      evidence: differences
        .slice(0, MOST_SHOWN)
        .map((each) => chart.evidence(each.source, `${chart.snapshot.line(each.source).trim()}   (${wish(each)})`)),
      remedy: apply(file, machine.name),
      hurts: hurtBy(chart, host, differences),
      otherwise: "warning",
    };
  });
}

const asProblem = (error: ParseError): DesiredProblem => ({
  kind: "impossible",
  text: error.message.replace(`${error.source.file}:${error.source.line}: `, ""),
  source: error.source,
});

/** What is wrong with keepalived.conf and haproxy.cfg. */
function daemonProblems(machine: Machine): DesiredProblem[] {
  const found = (haproxyOf(machine)?.problems ?? []).map(asProblem);
  try {
    return [...found, ...(keepalivedOf(machine)?.problems ?? []).map(asProblem)];
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return [...found, asProblem(error)];
  }
}

/** How to have a file checked by the program that reads it. */
function recheck(file: string): string {
  if (isProfile(file))
    return "nmcli connection reload && nmcli connection show   # a profile that it refuses is not in the list";
  if (file.endsWith("haproxy.cfg")) return "haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy";
  if (file.endsWith("keepalived.conf"))
    return "keepalived -t -f /etc/keepalived/keepalived.conf && systemctl reload keepalived";
  return "kubectl get nodenetworkconfigurationpolicies";
}

function impossible(
  chart: Chart,
  machine: Machine,
  host: Namespace,
  desired: DesiredOfMachine,
  seen: Set<string>,
): Suspicion[] {
  const problems = [...desired.problems, ...daemonProblems(machine)];
  return problems.flatMap((problem): Suspicion[] => {
    const { text, source } = problem;
    // A policy that selects many nodes is wrong once.
    const key = `${source.file}:${source.line} ${text}`;
    if (seen.has(key)) return [];
    seen.add(key);
    const policy = source.file === POLICIES;
    const name = policy
      ? "A NodeNetworkConfigurationPolicy"
      : `${source.file.slice(source.file.lastIndexOf("/") + 1)} of ${machine.name}`;
    const file = source.file.slice(source.file.indexOf("/files/") + "/files".length);
    const refused = problem.kind === "impossible";
    return [
      {
        id: IMPOSSIBLE,
        at: policy ? "cluster" : host.place,
        summary: refused
          ? `${name} asks for what cannot be (${text}): it has no effect when it is read next, and what is there now is not kept over a restart`
          : `${name} asks for what can hardly be meant: ${text}`,
        evidence: [chart.evidence(source, policy ? text : undefined)],
        remedy: [
          policy
            ? "kubectl edit nodenetworkconfigurationpolicies"
            : `# on ${machine.name}: mend line ${source.line} of ${file}, then`,
          recheck(source.file),
        ],
        hurts: [],
        otherwise: refused ? "warning" : "info",
      },
    ];
  });
}

/** The cluster's policies, read once for all machines; what is no YAML is a problem. */
function policiesOf(chart: Chart): { policies: NmstatePolicy[]; problems: DesiredProblem[] } {
  const text = chart.snapshot.text(POLICIES);
  if (text === undefined) return { policies: [], problems: [] };
  try {
    return { policies: readNmstate(text, POLICIES), problems: [] };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { policies: [], problems: [asProblem(error)] };
  }
}

export const configuration: Check = {
  ids: [NOT_APPLIED, IMPOSSIBLE],
  depth: "machine",
  look(chart): Diagnosis {
    const guests = floating(chart);
    const cluster = policiesOf(chart);
    const seen = new Set<string>();
    const unknown: Undecided[] = [];
    const suspicions = chart.site.machines.flatMap((machine): Suspicion[] => {
      const host = chart.dir.places.get(machine.place);
      if (host === undefined) return [];
      const own = desiredOf(machine, host, null);
      const states = cluster.policies
        .filter((policy) => machine.node !== null && selects(policy, machine.node.labels))
        .map((policy) => policy.state);
      const desired: DesiredOfMachine = {
        ...own,
        states: [...own.states, ...states],
        problems: [...own.problems, ...cluster.problems, ...states.flatMap((state) => state.problems)],
      };
      for (const { device, profiles } of own.undecided)
        unknown.push({
          id: NOT_APPLIED,
          at: host.place,
          why: `${profiles.join(" and ")} are equally good profiles for ${device}: which one NetworkManager uses, its files do not tell`,
        });
      return [
        ...impossible(chart, machine, host, desired, seen),
        ...unfulfilled(chart, machine, host, desired, guests),
      ];
    });
    return { suspicions, unknown };
  },
};
