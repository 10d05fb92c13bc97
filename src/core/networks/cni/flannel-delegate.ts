/** Plugin `flannel`: reads what flanneld wrote and calls another plugin, nearly always `bridge`. */
import { formatIp, formatPrefix, prefixOf, type Prefix } from "../../model/address.ts";
import { parseSubnetEnv } from "../flannel/subnet-env.ts";
import type { Machine } from "../site.ts";
import type { PluginConf } from "./conflist.ts";
import { reader, type JsonObject } from "./json-config.ts";

const SUBNET_FILE = "/run/flannel/subnet.env";

/** The network that a subnet as written (its gateway's address and length) lies in. */
const networkOf = (subnet: Prefix): string => formatPrefix(prefixOf(subnet.ip, subnet.len));

/**
 * The plugin that flannel's own calls, with its configuration (github.com/flannel-io/cni-plugin, doCmdAdd and getDelegateIPAM). Null when
 * flanneld's file was not recorded: then nothing is known. Throws IntentError when the configuration makes no sense.
 */
export function flannelDelegate(machine: Machine, plugin: PluginConf): PluginConf | null {
  const o = reader(plugin.conf, plugin.what);
  const file = machine.file(o.text("subnetFile") || SUBNET_FILE);
  if (file === null) return null;
  const env = parseSubnetEnv(file.text);
  const delegate: JsonObject = { ...o.object("delegate") };
  const given = reader(delegate, `${plugin.what}: delegate`);
  const type = given.text("type") ?? "bridge";
  const ipam: JsonObject = { type: "host-local", ...o.object("ipam") };
  const routes = reader(ipam, `${plugin.what}: ipam`).objects("routes");
  const subnets = [env.subnet4, env.subnet6].filter((each) => each !== null);
  const networks = [env.network4, env.network6].filter((each) => each !== null);
  const conf: JsonObject = {
    // Whoever does not masquerade leaves it to the other.
    ipMasq: env.ipMasq !== true,
    ...(env.mtu !== null && { mtu: env.mtu }),
    ...(type === "bridge" && { isGateway: true }),
    ...delegate,
    type,
    ipam: {
      ...ipam,
      ranges: subnets.map((each) => [{ subnet: networkOf(each) }]),
      routes: [...routes, ...networks.map((each) => ({ dst: `${formatIp(each.ip)}/${each.len}` }))],
    },
  };
  return { type, conf, what: `${plugin.what}, delegate ${type}` };
}
