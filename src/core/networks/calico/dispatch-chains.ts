/** Chains that lead from a device to its endpoint's chains; devices with the same beginning share one (felix/rules/dispatch.go). */
import { goTo, rule, type FelixChain, type FelixRule } from "./iptables-rule.ts";
import { chainName } from "./names.ts";

/** The longest beginning that all names have (stringutils.CommonPrefix). */
function commonPrefix(names: readonly string[]): string {
  const [first = "", ...rest] = names;
  let length = first.length;
  for (const name of rest) {
    let i = 0;
    while (i < length && i < name.length && name[i] === first[i]) i++;
    length = i;
  }
  return first.slice(0, length);
}

/**
 * The dispatch chain `name` and its children. `option` is `-i` or `-o`, `prefix` begins the endpoints' chains, `end` are the rules for
 * devices that are not known.
 */
export function dispatchChains(
  name: string,
  option: "-i" | "-o",
  prefix: string,
  devices: readonly string[],
  end: readonly FelixRule[],
): FelixChain[] {
  const sorted = [...new Set(devices)].toSorted();
  const common = commonPrefix(sorted);
  const bins = new Map<string, string[]>();
  for (const device of sorted) {
    const bin = device.slice(0, common.length + 1);
    const list = bins.get(bin);
    if (list === undefined) bins.set(bin, [device]);
    else list.push(device);
  }
  const toEndpoint = (device: string): FelixRule => rule(`${option} ${device}`, goTo(chainName(prefix, device)));
  const children: FelixChain[] = [];
  const root: FelixRule[] = [];
  for (const [bin, members] of bins) {
    const [only] = members;
    if (members.length === 1 && only !== undefined) {
      root.push(toEndpoint(only));
      continue;
    }
    const child = `${name}-${bin.slice(common.length)}`;
    root.push(rule(`${option} ${bin}+`, goTo(child)));
    children.push({ name: child, rules: [...members.map(toEndpoint), ...end] });
  }
  return [...children, { name, rules: [...root, ...end] }];
}
