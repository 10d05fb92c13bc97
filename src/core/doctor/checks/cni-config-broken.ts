/**
 * The CNI configuration of a node is missing, malformed, out of order, or not what its pods need. Runtimes read the first valid file by
 * name in /etc/cni/net.d (go-cni opts.go loadFromConfDir; ocicni loadNetworks); plugins run in the order of the list (CNI SPEC 1.1,
 * section 3). Pods that run keep what they have, so mostly the next pod is hurt.
 */
import { CNI_FOLDER } from "../../networks/cni/conflist.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { hostPorts, noSubnetFile, wrongRanges } from "../cni-parts.ts";
import { CNI_BROKEN, cniSubjects } from "../cni-subjects.ts";
import { malformed, missing, shadowed, wrongList } from "../cni-wholes.ts";
import type { Undecided } from "../types.ts";

export const cniConfigBroken: Check = {
  ids: [CNI_BROKEN],
  depth: "machine",
  look(chart): Diagnosis {
    const subjects = cniSubjects(chart);
    const unknown: Undecided[] = [];
    if (subjects.length > 0 && subjects.every((each) => each.files.length === 0))
      unknown.push({
        id: CNI_BROKEN,
        at: "cluster",
        why: `no CNI configuration was recorded of any node (${CNI_FOLDER})`,
      });
    const suspicions = subjects.flatMap((subject): Suspicion[] => {
      const others = subjects.filter((each) => each !== subject);
      const whole = [
        ...missing(subject, others),
        ...malformed(subject),
        ...wrongList(subject),
        ...shadowed(subject, others),
      ];
      // Of a configuration that is the wrong one, the parts do not matter.
      if (whole.length > 0) return whole;
      return [...hostPorts(subject), ...wrongRanges(subject, others), ...noSubnetFile(subject, others)];
    });
    return { suspicions, unknown };
  },
};
