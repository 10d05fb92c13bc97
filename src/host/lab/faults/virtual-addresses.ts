/** Faults of a floating address before the API servers. */
import { nodeNames } from "../daemons/addresses.ts";
import { floatingAddresses, holders, startKeepalived } from "../daemons/keepalived.ts";
import { until } from "../daemons/wait.ts";
import { LabError, type Lab } from "../parts.ts";
import { host, sh, type ShippedFault } from "./fault.ts";

const KEEPALIVED = "/etc/keepalived/keepalived.conf";
const PATIENCE = 30;

/** keepalived's files by node, and the address. */
function instances(lab: Lab): { files: Map<string, string>; address: string } {
  const files = new Map(lab.intended.files.flatMap(({ at, path, text }) => (path === KEEPALIVED ? [[at, text]] : [])));
  const [address] = [...files.values()].flatMap(floatingAddresses);
  if (address === undefined)
    throw new LabError("the lab has no floating address: this fault needs the scenario api-vip");
  return { files, address };
}

async function held(lab: Lab): Promise<void> {
  const { address, files } = instances(lab);
  const nodes = [...files.keys()];
  await until(
    lab,
    "keepalived",
    nodes.map((node) => `keepalived@${node}`),
    PATIENCE,
    async () => {
      const found = await holders(lab, address, nodes);
      return found.length === 1 ? null : `${address} is held by ${found.join(" and ") || "nobody"}`;
    },
  );
}

export const vipDown: ShippedFault = {
  id: "vip-down",
  summary: "keepalived runs nowhere, so that nobody holds the address",
  scenario: "api-vip",
  async breakIt(lab) {
    for (const node of instances(lab).files.keys()) await lab.stop(`keepalived@${node}`);
  },
  async mendIt(lab) {
    for (const [node, text] of instances(lab).files) await startKeepalived(lab, node, text);
    await held(lab);
  },
};

export const vipDuplicate: ShippedFault = {
  id: "vip-duplicate",
  summary: "two nodes hold the address",
  scenario: "api-vip",
  async breakIt(lab) {
    const { address } = instances(lab);
    const nodes = nodeNames(lab);
    const [holder] = await holders(lab, address, nodes);
    const other = nodes.find((node) => node !== holder) ?? "";
    lab.notes.set(this.id, other);
    await sh(lab, host(other), `ip address add ${address}/32 dev eth0`);
  },
  async mendIt(lab) {
    const { address } = instances(lab);
    await sh(lab, host(String(lab.notes.get(this.id))), `ip address del ${address}/32 dev eth0`);
    lab.notes.delete(this.id);
  },
};

export const vipOutsideSegment: ShippedFault = {
  id: "vip-outside-segment",
  summary: "on one node keepalived is configured for a device of another network",
  scenario: "api-vip",
  async breakIt(lab) {
    const { files } = instances(lab);
    const [node = "", text = ""] = [...files].at(-1) ?? [];
    // It takes the file when it is started next.
    const path = `${lab.folderOf(node)}/keepalived.conf`;
    await lab.write(path, text.replaceAll("interface eth0", "interface cni0"));
    lab.record(node, KEEPALIVED, path);
  },
  async mendIt(lab) {
    const [node = "", text = ""] = [...instances(lab).files].at(-1) ?? [];
    await lab.write(`${lab.folderOf(node)}/keepalived.conf`, text);
  },
};
