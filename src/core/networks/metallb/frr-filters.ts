/** What FRR lets out to one neighbour: prefix lists and route maps (internal/bgp/frr/templates/filters.tmpl). */
import type { BgpAnnouncement } from "./announce.ts";
import type { BgpPeer } from "./objects.ts";

const familyOf = (prefix: string): 4 | 6 => (prefix.includes(":") ? 6 : 4);
const word = (family: 4 | 6): string => (family === 4 ? "ip" : "ipv6");

/** Name of a neighbour in lists and maps. */
export function neighbourId(peer: BgpPeer): string {
  return peer.vrf === "" ? peer.address : `${peer.address}-${peer.vrf}`;
}

/** Names of lists carry the family of the session, whatever they hold. */
function sessionFamily(peer: BgpPeer): string {
  return peer.dualStack ? "dual" : `ipv${familyOf(peer.address)}`;
}

/** What an announcement is marked with: its local preference first, then its communities. */
function marks(each: BgpAnnouncement): { key: string; set: string }[] {
  const preference =
    each.localPref === 0 ? [] : [{ key: `${each.localPref}`, set: `set local-preference ${each.localPref}` }];
  const large = (value: string): boolean => value.split(":").length === 3;
  const communities = each.communities
    .toSorted((x, y) => Number(large(x)) - Number(large(y)) || (x < y ? -1 : 1))
    .map((value) =>
      large(value)
        ? { key: `large:${value}`, set: `set large-community ${value} additive` }
        : { key: value, set: `set community ${value} additive` },
    );
  return [...preference, ...communities];
}

/** Lines for one neighbour; `heard` are the announcements that it hears, in order. */
export function neighbourFilters(peer: BgpPeer, heard: readonly BgpAnnouncement[]): string[] {
  const id = neighbourId(peer);
  const session = sessionFamily(peer);
  const listName = (key: string, set: string): string =>
    `${id}-${key}-${session}-${set.startsWith("set local") ? "localpref" : "community"}-prefixes`;
  let step = 0;
  const next = (): number => ++step;
  const numbers = new Map<string, number>();
  const entry = (family: 4 | 6, list: string, rest: string): string => {
    const number = (numbers.get(list) ?? 0) + 1;
    numbers.set(list, number);
    return `${word(family)} prefix-list ${list} seq ${number} ${rest}`;
  };

  const all = heard.flatMap((each) => marks(each).map((mark) => ({ ...mark, family: familyOf(each.prefix) })));
  const preferences = all.filter(({ set }) => set.startsWith("set local"));
  const others = all.filter(({ set }) => !set.startsWith("set local"));
  const unique = new Map([...preferences, ...others].map((mark) => [`${mark.key} ${mark.family}`, mark]));
  const maps = [...unique.values()].flatMap(({ key, set, family }) => [
    `route-map ${id}-out permit ${next()}`,
    `  match ${word(family)} address prefix-list ${listName(key, set)}`,
    `  ${set}`,
    "  on-match next",
  ]);
  const allowed = `${id}-pl-${session}`;
  const lists = heard.flatMap((each) => {
    const family = familyOf(each.prefix);
    return [
      ...marks(each).map(({ key, set }) => entry(family, listName(key, set), `permit ${each.prefix}`)),
      entry(family, allowed, `permit ${each.prefix}`),
    ];
  });
  const empty = ([4, 6] as const)
    .filter((family) => !heard.some((each) => familyOf(each.prefix) === family))
    .map((family) => entry(family, allowed, "deny any"));
  return [
    `route-map ${id}-in deny 20`,
    ...maps,
    ...lists,
    ...empty,
    `route-map ${id}-out permit ${next()}`,
    `  match ip address prefix-list ${allowed}`,
    `route-map ${id}-out permit ${next()}`,
    `  match ipv6 address prefix-list ${allowed}`,
  ];
}
