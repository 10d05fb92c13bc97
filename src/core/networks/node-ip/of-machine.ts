/** What a recorded machine's kubelet would call its node's addresses: for comparing with the Node object. */
import { flagOf } from "../flags.ts";
import type { Machine } from "../site.ts";
import type { HostView } from "./host-view.ts";
import { kubeletNodeAddresses, type NodeAddressChoice } from "./kubelet.ts";

/**
 * kubelet's choice on a machine by its recorded command line; null when that was not recorded. The host's resolver is asked through
 * `lookUp`; kubelet's name is `--hostname-override`, else the machine's.
 */
export function nodeAddressesOf(
  machine: Machine,
  view: HostView,
  lookUp?: (name: string) => string[],
): NodeAddressChoice | null {
  const command = machine.command("kubelet");
  if (command === null) return null;
  const hostname = (flagOf(command.words, "hostname-override") || machine.name).trim().toLowerCase();
  const cloudProvider = flagOf(command.words, "cloud-provider") === "external" ? "external" : "";
  const nodeIp = flagOf(command.words, "node-ip") ?? "";
  return kubeletNodeAddresses({ nodeIp, cloudProvider, hostname }, view, lookUp);
}

/** What differs between the addresses that kubelet would report and those of the Node object, one line each; empty when they agree. */
export function nodeAddressDifferences(choice: NodeAddressChoice, machine: Machine): string[] {
  if (choice.error !== null) return [choice.error];
  const actual = machine.node?.addresses.map((each) => `${each.type} ${each.address}`) ?? [];
  const intended = choice.addresses.map((each) => `${each.type} ${each.address}`);
  return [
    ...intended.filter((each) => !actual.includes(each)).map((each) => `${each} is not among the Node's addresses`),
    ...actual
      .filter((each) => !intended.includes(each))
      .map((each) => `the Node has ${each}, which kubelet would not report`),
  ];
}
