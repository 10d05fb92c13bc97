/** What can be wrong with a node's CNI configuration as a whole: missing, malformed, out of order, behind another. */
import { list, object, text } from "../networks/raw.ts";
import { CNI_FOLDER } from "../networks/cni/conflist.ts";
import type { Chart } from "./chart.ts";
import type { Suspicion } from "./check.ts";
import { base, kinds, mainType, META, type CniSubject, type ConfFile } from "./cni-subjects.ts";
import { lineOf } from "./configured-ranges.ts";
import { objectSources } from "./object-sources.ts";
import type { Evidence } from "./types.ts";

/** Plugins that change what another one made, and fail without its result (containernetworking/plugins, plugins/meta). */
const CHAINED: ReadonlySet<string> = new Set([
  "portmap",
  "bandwidth",
  "tuning",
  "firewall",
  "sbr",
  "vrf",
  "cilium-portmap",
]);
/** Plugins of containernetworking/plugins, plugins/main, that make a device of the name that they are given: a second one finds it there. */
const MAKERS: ReadonlySet<string> = new Set([
  "bridge",
  "ptp",
  "macvlan",
  "ipvlan",
  "host-device",
  "vlan",
  "tap",
  "flannel",
  "calico",
  "cilium-cni",
  "weave-net",
]);
/** Versions of the specification (CNI SPEC, "Version"). */
const VERSIONS: ReadonlySet<string> = new Set(["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]);
/** The line that an error is about: by its position in the text, or by the name that it quotes. */
function lineOfError({ text: whole, error }: ConfFile): number {
  const position = / position (\d+)/.exec(error)?.[1];
  if (position !== undefined) return whole.slice(0, Number(position)).split("\n").length;
  const quoted = /"([^"]+)"/.exec(error)?.[1];
  return quoted === undefined ? 1 : lineOf(whole, `"${quoted}"`);
}

/** Files that are no configuration. */
export function malformed(subject: CniSubject): Suspicion[] {
  const { chart, machine, files, used } = subject;
  return files.flatMap((file, i): Suspicion[] => {
    // One after the file in use is never read.
    if (file.network !== null || (used !== null && files.indexOf(used) < i)) return [];
    const then =
      used === null
        ? "no pod gets a network there any more"
        : `the next pod gets the network of ${used.path} (${kinds(used.network!)}) instead`;
    const line = lineOfError(file);
    return [
      {
        ...base(subject),
        summary: `${file.path} of ${machine.name} is no CNI configuration (${file.error}): ${then}`,
        evidence: [chart.evidence({ ...file.source, line }), ...(used === null ? [] : [chart.evidence(used.source)])],
        remedy: [
          `# on ${machine.name}: mend ${file.path}, or copy it from a node where it works, then`,
          `python3 -m json.tool ${file.path}`,
        ],
      },
    ];
  });
}

/** What the Node says of its network: containerd's and CRI-O's words for a folder without a valid file. */
function notReady(chart: Chart, name: string): Evidence[] {
  const items = chart.snapshot.cluster.raw.get("nodes") ?? [];
  return items.flatMap((item, at) => {
    if (object(object(item)["metadata"])["name"] !== name) return [];
    return list(object(object(item)["status"])["conditions"]).flatMap((each): Evidence[] => {
      const { type, status, message } = object(each);
      const said = text(message) ?? "";
      if (type !== "Ready" || status === "True" || !/cni|network (plugin|is not ready)|NetworkReady/i.test(said))
        return [];
      const source = objectSources(chart.snapshot, "nodes")[at];
      return source === undefined ? [] : [chart.evidence(source, `Node ${name} is not ready: ${said}`)];
    });
  });
}

/** A node without any file, where others have one or it says so itself. */
export function missing(subject: CniSubject, others: readonly CniSubject[]): Suspicion[] {
  const { chart, machine, files } = subject;
  if (files.length > 0) return [];
  const said = notReady(chart, machine.name);
  const beside = others.find((each) => each.used !== null);
  // Without any file of the machine, nobody looked.
  const looked = machine.files("/").length > 0;
  if (said.length === 0 && (beside === undefined || !looked)) return [];
  const from = beside === undefined ? "" : `, where ${beside.machine.name} has ${beside.used!.path}`;
  const evidence =
    beside === undefined || chart.dir.nodes.get(machine.name) === undefined
      ? []
      : [chart.evidence(beside.used!.source)];
  return [
    {
      ...base(subject),
      summary: `${machine.name} has no CNI configuration${from}: the next pod there gets no network`,
      evidence: [...said, ...evidence],
      remedy: [
        `# on ${machine.name}: the network's daemon writes it when it starts; see why it does not`,
        "kubectl get pods -A -o wide --field-selector spec.nodeName=" + machine.name,
        `ls -l ${CNI_FOLDER}`,
      ],
    },
  ];
}

/** What is wrong with the order and the parts of a list. */
export function wrongList(subject: CniSubject): Suspicion[] {
  const { chart, machine, used } = subject;
  if (used?.network == null) return [];
  const { plugins } = used.network;
  const found: { why: string; at: string; outcome: string }[] = [];
  const [first] = plugins;
  if (first !== undefined && CHAINED.has(first.type))
    found.push({
      why: `its first plugin is ${first.type}, which works on what another one made`,
      at: `"${first.type}"`,
      outcome: "every new pod fails for want of a prevResult",
    });
  const makers = plugins.filter(({ type }) => MAKERS.has(type));
  if (makers.length > 1)
    found.push({
      why: `${makers.map(({ type }) => type).join(" and ")} both make the pod's device`,
      at: `"${makers[1]!.type}"`,
      outcome: "the second fails, because a device of that name is there already",
    });
  const version = text(topLevel(used.text)["cniVersion"]);
  if (version !== null && !VERSIONS.has(version))
    found.push({ why: `its cniVersion ${version} does not exist`, at: `"${version}"`, outcome: "plugins refuse it" });
  return found.map(({ why, at, outcome }) => ({
    ...base(subject),
    summary: `${used.path} of ${machine.name} cannot work: ${why}; ${outcome}`,
    evidence: [chart.evidence({ ...used.source, line: lineOf(used.text, at) })],
    remedy: [
      `# on ${machine.name}: mend ${used.path}; the plugin that makes the device is the first of "plugins", those that change it come after`,
    ],
  }));
}

function topLevel(json: string): Readonly<Record<string, unknown>> {
  try {
    return object(JSON.parse(json));
  } catch {
    return {};
  }
}

/** The program of a network's main plugin that runs on a machine, by the plugin's name. */
const DAEMONS: Readonly<Record<string, readonly string[]>> = {
  flannel: ["flanneld"],
  calico: ["calico-node", "calico-felix", "felix"],
  "cilium-cni": ["cilium-agent"],
};

/** A file that pushes itself before the one that the cluster's network wrote. */
export function shadowed(subject: CniSubject, others: readonly CniSubject[]): Suspicion[] {
  const { chart, machine, files, used } = subject;
  if (used?.network == null || META.has(used.network.plugins[0]!.type)) return [];
  const own = mainType(used);
  const meant = files.slice(files.indexOf(used) + 1).find((file) => {
    if (file.network === null) return false;
    const type = mainType(file);
    if (type === own && file.network.name === used.network!.name) return false;
    const runs = DAEMONS[type]?.some((program) => machine.command(program) !== null) === true;
    const elsewhere = others.filter((each) => each.used !== null);
    const same = elsewhere.filter(
      (each) => mainType(each.used!) === type && each.used!.network!.name === file.network!.name,
    );
    // The daemon of the later one runs, or the other nodes use the later one.
    return (runs && type !== own) || (elsewhere.length >= 2 && same.length === elsewhere.length);
  });
  if (meant === undefined) return [];
  return [
    {
      ...base(subject),
      summary: `${used.path} of ${machine.name} comes before ${meant.path} by its name, so the next pod there gets the network ${used.network.name} (${kinds(used.network)}) and not ${meant.network!.name} (${kinds(meant.network!)})`,
      evidence: [chart.evidence(used.source), chart.evidence(meant.source)],
      remedy: [`# on ${machine.name}`, `mv ${used.path} ${used.path}.disabled`],
    },
  ];
}
