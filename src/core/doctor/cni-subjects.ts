/** The CNI configuration of each node, as its container runtime meets it. */
import type { Source } from "../model/source.ts";
import { CNI_FOLDER, parseCniNetwork, type CniNetwork } from "../networks/cni/conflist.ts";
import { IntentError } from "../networks/network.ts";
import type { Machine } from "../networks/site.ts";
import type { Chart } from "./chart.ts";
import type { Suspicion } from "./check.ts";

export const CNI_BROKEN = "cni-config-broken";
const KINDS = /\.(?:conf|conflist|json)$/;

/** Plugins that call others, and whose own file comes first by intent. */
export const META: ReadonlySet<string> = new Set(["multus", "multus-shim", "genie", "danm", "kube-ovn"]);

export interface ConfFile {
  path: string;
  source: Source;
  text: string;
  /** Null when the runtime does not take it. */
  network: CniNetwork | null;
  /** Why not; "" when it does. */
  error: string;
}

/** The files that a runtime looks at, in its order. */
function confFiles(machine: Machine): ConfFile[] {
  return machine
    .files(CNI_FOLDER)
    .filter((path) => KINDS.test(path) && !path.slice(CNI_FOLDER.length).includes("/"))
    .toSorted()
    .flatMap((path): ConfFile[] => {
      const file = machine.file(path);
      if (file === null) return [];
      const { source, text: whole } = file;
      try {
        return [{ path, source, text: whole, network: parseCniNetwork(whole, source.file), error: "" }];
      } catch (error) {
        if (!(error instanceof IntentError)) throw error;
        return [{ path, source, text: whole, network: null, error: error.message.replace(`${source.file}: `, "") }];
      }
    });
}

/** Kinds of a network's plugins, `bridge, portmap`. */
export const kinds = (network: CniNetwork): string => network.plugins.map((plugin) => plugin.type).join(", ");

export interface CniSubject {
  chart: Chart;
  machine: Machine;
  files: ConfFile[];
  /** The file in use. */
  used: ConfFile | null;
}

/** What every finding about a machine has. */
export const base = ({ machine }: CniSubject): Pick<Suspicion, "id" | "at" | "hurts" | "otherwise"> => ({
  id: CNI_BROKEN,
  at: machine.place,
  hurts: [],
  otherwise: "warning",
});

/** Type of the plugin that makes the pods' device; "" for none. */
export const mainType = (file: ConfFile): string => file.network?.plugins[0]?.type ?? "";

/** Every node of the cluster. */
export function cniSubjects(chart: Chart): CniSubject[] {
  return chart.nodes.map((machine) => {
    const files = confFiles(machine);
    return { chart, machine, files, used: files.find((file) => file.network !== null) ?? null };
  });
}
