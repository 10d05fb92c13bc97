/**
 * MASQUERADE takes the first address of the device by which a packet leaves that suits the next hop, and asks nobody else
 * (nf_nat_masquerade_ipv4: inet_select_addr; nf_nat_masquerade_ipv6: ipv6_dev_get_saddr). On a node whose own address is on the loopback
 * device and announced by BGP, that is the address of a link to a router, which the fabric does not know or refuses.
 */
import { formatIp, parseIp, sameIp, type Ip } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Source } from "../../model/source.ts";
import { alikeRules } from "../../model/xtables.ts";
import { inetSelectAddr, ipv6SelectAddr } from "../../engine/source-address.ts";
import { globalAddresses } from "../../names/directory.ts";
import type { Machine } from "../../networks/site.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, lastRoute, type Death } from "../deaths.ts";
import type { Evidence } from "../types.ts";

const ID = "masquerade-transit-address";
/** Rules that one finding shows. */
const MOST_RULES = 3;

/** An address that masquerading would put on packets, and that the node does not go by. */
interface Transit {
  host: Namespace;
  node: string;
  dev: string;
  address: Ip;
  /** The node's own of this family. */
  own: Ip[];
  source: Source;
  /** The node's own address is on no device by which packets leave. */
  routed: boolean;
}

/** Everything that a node goes by, of one family. */
function ownAddresses(machine: Machine, family: 4 | 6): Ip[] {
  const notes = ["projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address"].map(
    (key) => machine.node?.annotations[key]?.split("/", 1)[0],
  );
  const texts = [...(machine.node?.addresses ?? []).map((each) => each.address), ...notes];
  return texts.flatMap((text) => {
    const ip = text === undefined ? null : parseIp(text);
    return ip === null || ip.v !== family ? [] : [ip];
  });
}

/** Some address beyond, for the choice of an IPv6 source: of a recorded host, else one of those for documentation (RFC 3849). */
function somewhere(chart: Chart): Ip | null {
  const outside = (chart.snapshot.fabric?.external ?? []).flatMap((name) => {
    const ns = chart.dir.places.get(`${name}/host`);
    return ns === undefined ? [] : globalAddresses(ns).map((text) => parseIp(text));
  });
  return outside.find((ip) => ip?.v === 6) ?? parseIp("2001:db8::1");
}

/** What masquerading takes on the devices by which a host sends to routers, where it is not what the node goes by. */
function transits(chart: Chart, machine: Machine, host: Namespace): Transit[] {
  const ns = chart.world.byPlace.get(host.place);
  if (ns === undefined) return [];
  const uplinks = new Set(machine.devices.map((device) => device.name));
  const found = new Map<string, Transit>();
  for (const family of [4, 6] as const) {
    // An address that the node does not have is another fault.
    const own = ownAddresses(machine, family).filter((ip) =>
      host.links.some((link) => link.addresses.some((each) => sameIp(each.ip, ip))),
    );
    if (own.length === 0) continue;
    const routed = !host.links.some(
      ({ kind, addresses }) =>
        kind.kind !== "loopback" &&
        kind.kind !== "dummy" &&
        addresses.some((each) => own.some((ip) => sameIp(ip, each.ip))),
    );
    for (const route of family === 4 ? host.routes4 : host.routes6)
      for (const { gateway, dev } of route.nexthops) {
        const device = dev === null || gateway === null || !uplinks.has(dev) ? undefined : ns.byName.get(dev);
        if (device === undefined || found.has(`${dev} ${family}`)) continue;
        const beyond = family === 6 ? somewhere(chart) : null;
        const address =
          family === 4
            ? inetSelectAddr(ns, device, gateway, 0)
            : beyond === null
              ? null
              : ipv6SelectAddr(ns, device, beyond);
        if (address === null || own.some((ip) => sameIp(ip, address))) continue;
        if (!device.link.addresses.some((each) => sameIp(each.ip, address))) continue;
        found.set(`${dev} ${family}`, {
          host,
          node: machine.name,
          dev: device.name,
          address,
          own,
          source: device.link.source,
          routed,
        });
      }
  }
  return [...found.values()];
}

/** Rules of a namespace that masquerade what may leave by `dev`. */
function masquerades(host: Namespace, family: 4 | 6, dev: string): Source[] {
  const found: Source[] = [];
  for (const ruleset of host.xtables) {
    if (ruleset.family !== (family === 4 ? "ip" : "ip6")) continue;
    for (const chain of ruleset.tables.find((table) => table.name === "nat")?.chains ?? []) {
      if (!alikeRules(chain).some(({ target }) => target.t === "masquerade")) continue;
      for (const rule of chain.rules) {
        const elsewhere = rule.matches.some(
          (each) =>
            each.m === "out" &&
            !each.not &&
            !(each.name.endsWith("+") ? dev.startsWith(each.name.slice(0, -1)) : each.name === dev),
        );
        if (rule.target.t === "masquerade" && !elsewhere) found.push({ file: ruleset.file, line: rule.line });
      }
    }
  }
  for (const table of host.nft?.tables ?? []) {
    if (table.family !== "inet" && table.family !== (family === 4 ? "ip" : "ip6")) continue;
    for (const chain of table.chains)
      for (const rule of chain.rules)
        if (rule.expr.some((each) => typeof each === "object" && each !== null && "masquerade" in each))
          found.push(rule.source);
  }
  return found;
}

/** The step at which a death's packet got the address; undefined when it did not. */
function rewritten(death: Death, transit: Transit): Source | null | undefined {
  const text = formatIp(transit.address);
  const step = death.forward.find(
    (each) =>
      each.at === transit.host.place &&
      each.layer === 0 &&
      each.changed?.src === text &&
      (each.kind === "rule" || each.kind === "program"),
  );
  return step === undefined ? undefined : (step.source ?? null);
}

/** Whether it is for its source that the packet dies: the fabric refuses it, or nobody finds the way back to it. */
function forItsSource(chart: Chart, death: Death, transit: Transit): boolean {
  if (death.disposition === "source-refused-by-fabric") return true;
  const machine = death.at.split("/", 1)[0] ?? "";
  const beyond = !chart.dir.nodes.has(machine);
  if (death.direction === "reply") {
    const last = lastRoute(death, death.at);
    return last?.dst !== undefined && last.dst !== null && sameIp(last.dst, transit.address);
  }
  return (
    beyond &&
    (death.disposition === "dropped" ||
      death.disposition === "rejected" ||
      death.disposition === "rp-filter" ||
      death.disposition === "martian")
  );
}

/** What puts the node's own address in its place. */
function remedyOf(chart: Chart, { node, dev, own, address }: Transit, rules: readonly Source[]): string[] {
  const to = own[0] === undefined ? "ADDRESS" : formatIp(own[0]);
  const texts = rules.map((each) => chart.snapshot.line(each));
  const tool = address.v === 6 ? "ip6tables" : "iptables";
  const calico = texts.some((text) => text.includes("cali-nat-outgoing"))
    ? [
        `kubectl apply -f - <<< '{"apiVersion":"crd.projectcalico.org/v1","kind":"FelixConfiguration","metadata":{"name":"node.${node}"},"spec":{"natOutgoingAddress":"${to}"}}'`,
      ]
    : [];
  const others = texts.flatMap((text) => {
    const found = /^(?:\[\d+:\d+\] )?-A (\S+) (.*?)-j MASQUERADE/.exec(text);
    return found === null || text.includes("cali-nat-outgoing")
      ? []
      : [
          `${tool} -t nat -I ${found[1]} ${/ -o /.test(` ${found[2]}`) ? "" : `-o ${dev} `}${found[2]}-j SNAT --to-source ${to}`,
        ];
  });
  return [
    ...calico,
    `# on ${node}, a rule before each one that masquerades; in a chain of a program's own it lasts until the program writes the chain anew`,
    ...(others.length > 0
      ? others.slice(0, MOST_RULES)
      : calico.length > 0
        ? []
        : [`${tool} -t nat -I POSTROUTING -o ${dev} -m mark --mark 0x4000/0x4000 -j SNAT --to-source ${to}`]),
  ];
}

function suspicion(chart: Chart, transit: Transit): Suspicion[] {
  const { host, node, dev, address, own, source, routed } = transit;
  const rules = masquerades(host, address.v, dev);
  const deaths = deathsOf(chart).filter(
    (death) => rewritten(death, transit) !== undefined && forItsSource(chart, death, transit),
  );
  const hurts = hurtsOf(deaths);
  // Two addresses on two devices are nothing strange; the node's own being on neither is.
  if (hurts.length === 0 && (rules.length === 0 || !routed)) return [];
  const text = formatIp(address);
  const works = chart.survey.some(
    (walked) =>
      walked.sender.node === node &&
      walked.answer.outcomes.some((each) => each.client === "answered" && each.server?.clientAddress === text),
  );
  const deciding = deaths
    .map((death) => rewritten(death, transit))
    .filter((each) => each !== undefined && each !== null);
  const unique = [...new Map([...deciding, ...rules].map((each) => [`${each.file}:${each.line}`, each])).values()];
  const shown: Evidence[] = unique.slice(0, MOST_RULES).map((each) => chart.evidence(each));
  const names = own.map(formatIp).join(", ");
  const then =
    hurts.length > 0
      ? "the fabric does not take that for the node"
      : works
        ? "which the fabric takes, too"
        : "and the answers are lost when the fabric refuses it or knows no way to it";
  return [
    {
      id: ID,
      at: host.place,
      summary: `What ${node} masquerades on its way out by ${dev} gets ${text}, the first address of the link, and not the node's own ${names}: ${then}`,
      evidence: [...shown, chart.evidence(source, `${dev} has ${text}; Node ${node} goes by ${names}`)],
      remedy: remedyOf(chart, transit, unique),
      hurts,
      otherwise: works ? "info" : "warning",
    },
  ];
}

export const masqueradeTransitAddress: Check = {
  ids: [ID],
  depth: "rules",
  look(chart): Diagnosis {
    const suspicions = chart.nodes.flatMap((machine) => {
      const host = chart.dir.places.get(machine.place);
      if (host === undefined || host.missing.has("addr")) return [];
      return transits(chart, machine, host).flatMap((transit) => suspicion(chart, transit));
    });
    return { suspicions };
  },
};
