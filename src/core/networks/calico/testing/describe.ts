/** For tests: rules of policies in one line. */
import type { Port, Rule, Side } from "../rule.ts";

const portText = (port: Port): string =>
  "name" in port ? port.name : port.first === port.last ? `${port.first}` : `${port.first}-${port.last}`;

function sideText(side: Side): string {
  const parts = [
    ...(side.selector === "" ? [] : [side.selector]),
    ...(side.notSelector === "" ? [] : [`not ${side.notSelector}`]),
    ...side.nets,
    ...side.notNets.map((net) => `not ${net}`),
    ...(side.service === null ? [] : [`service ${side.service.namespace}/${side.service.name}`]),
    ...(side.ports.length === 0 ? [] : [`ports ${side.ports.map(portText).join(",")}`]),
    ...(side.notPorts.length === 0 ? [] : [`not ports ${side.notPorts.map(portText).join(",")}`]),
  ];
  return parts.length === 0 ? "any" : parts.join("; ");
}

/** `allow tcp from any to ports 80`. */
export function ruleLine(rule: Rule): string {
  const what = [
    rule.action,
    rule.ipVersion === null ? "" : `v${rule.ipVersion}`,
    rule.protocol === null ? "" : `${rule.protocol}`,
  ];
  const words = what.filter((each) => each !== "").join(" ");
  return `${words} from ${sideText(rule.source)} to ${sideText(rule.destination)}`;
}
