/**
 * Packets of the tunnel arrive with wrong checksums, because the sending device leaves the checksum to hardware that does not follow NAT of
 * the outer packet: UdpInCsumErrors counts at the receiver while tx-checksum-ip-generic is on at a sender (flannel-io/flannel#1279,
 * kubernetes/kubernetes#88986).
 */
import type { Namespace } from "../../model/namespace.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { list, object } from "../../networks/raw.ts";
import { nstat, type Counter } from "../stats.ts";
import { overlays, type TunnelEnd } from "../tunnels.ts";
import type { Evidence, Undecided } from "../types.ts";

/** Fewer bad packets than this, or a smaller part of all, are noise of the wire. */
const MOST_NOISE = 20;
const NOISE_SHARE = 0.01;

const FEATURE = "tx-checksum-ip-generic";

/** Whether a device leaves checksums to the hardware, by `ethtool --json -k DEV` (a list of devices) or `ethtool -k DEV`; null when not recorded. */
function offload(chart: Chart, { host, link }: TunnelEnd): { on: boolean; evidence: Evidence } | null {
  return (
    offloadOfJson(chart, `${host.dir}/ethtool.json`, link.name) ??
    offloadOfText(chart, `${host.dir}/ethtool.txt`, link.name)
  );
}

function offloadOfJson(chart: Chart, file: string, dev: string): { on: boolean; evidence: Evidence } | null {
  let listing: unknown;
  try {
    listing = JSON.parse(chart.snapshot.text(file) ?? "null");
  } catch {
    // Cut off or no JSON: as if it were not there.
    return null;
  }
  const device = list(listing)
    .map(object)
    .find((each) => each["ifname"] === dev);
  const active = object(device?.[FEATURE])["active"];
  if (typeof active !== "boolean") return null;
  return { on: active, evidence: chart.evidence({ file, line: 1 }, `${dev}: ${FEATURE} ${active ? "on" : "off"}`) };
}

/** `Features for DEV:`, then a line for each feature. */
function offloadOfText(chart: Chart, file: string, dev: string): { on: boolean; evidence: Evidence } | null {
  const lines = chart.snapshot.text(file)?.split("\n") ?? [];
  const from = lines.indexOf(`Features for ${dev}:`);
  if (from < 0) return null;
  const at = lines.findIndex((line, i) => i > from && line.trim().startsWith(`${FEATURE}:`));
  const next = lines.findIndex((line, i) => i > from && line.startsWith("Features for "));
  if (at < 0 || (next >= 0 && at > next)) return null;
  return { on: / on\b/.test(lines[at]!), evidence: { file, line: at + 1, text: `${dev}: ${lines[at]!.trim()}` } };
}

/** Bad checksums at a host that are too many to be noise. */
function badChecksums(chart: Chart, host: Namespace): Counter | null {
  const bad = nstat(chart.snapshot, host, "UdpInCsumErrors");
  const good = nstat(chart.snapshot, host, "UdpInDatagrams")?.value ?? 0;
  return bad === null || bad.value < MOST_NOISE || bad.value < NOISE_SHARE * (good + bad.value) ? null : bad;
}

function look(chart: Chart): Diagnosis {
  const suspicions: Suspicion[] = [];
  const unknown: Undecided[] = [];
  for (const { ends } of overlays(chart)) {
    if (ends.length < 2) continue;
    const receivers = ends.flatMap((end) => {
      const counter = badChecksums(chart, end.host);
      return counter === null ? [] : [{ end, counter }];
    });
    if (receivers.length === 0) continue;
    const known = ends.map((end) => ({ end, state: offload(chart, end) }));
    const senders = known.filter(({ state }) => state?.on === true);
    const counts = receivers.map(({ end, counter }) => `${counter.value} on ${end.host.node}`).join(", ");
    if (senders.length === 0) {
      if (known.some(({ state }) => state === null))
        unknown.push({
          id: "vxlan-checksum-offload",
          at: receivers[0]!.end.host.place,
          why: `UDP packets come in with wrong checksums (${counts}), and whether the tunnel's devices leave checksums to hardware was not recorded (ethtool -k)`,
        });
      continue;
    }
    for (const { end, state } of senders) {
      const others = receivers.filter((each) => each.end !== end);
      if (others.length === 0) continue;
      suspicions.push({
        id: "vxlan-checksum-offload",
        at: end.host.place,
        summary: `${end.link.name} of ${end.host.node} leaves checksums to the hardware, and peers get packets with wrong ones (UdpInCsumErrors: ${others
          .map(({ end: each, counter }) => `${counter.value} on ${each.host.node}`)
          .join(", ")}): connections through the tunnel stall when NAT has rewritten its packets`,
        evidence: [
          ...(state === null ? [] : [state.evidence]),
          ...others.slice(0, 3).map(({ counter }) => chart.evidence(counter.source)),
        ],
        remedy: [`ethtool -K ${end.link.name} ${FEATURE} off`],
        hurts: [],
        otherwise: "warning",
      });
    }
  }
  return { suspicions, unknown };
}

export const vxlanChecksumOffload: Check = { ids: ["vxlan-checksum-offload"], depth: "overlay", look };
