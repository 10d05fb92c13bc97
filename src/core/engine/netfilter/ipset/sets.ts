/** The sets of a namespace by name, made ready when a rule first asks for them. */
import { ip4, ip6, maskWord } from "../../../model/address.ts";
import type { Ip } from "../../../model/address.ts";
import type { IpSet } from "../../../model/ipset.ts";
import { MAYBE, NO, YES } from "../program.ts";
import type { EvalState } from "../program.ts";
import {
  addresses,
  addressMacs,
  addressMarks,
  addressPortAddresses,
  addressPorts,
  bitmapAddressMacs,
  bitmapPorts,
  macs,
} from "./exact.ts";
import { directionCount, RETURN_NOMATCH } from "./fields.ts";
import type { Directions } from "./fields.ts";
import type { CompiledSet, Lookup } from "./lookup.ts";
import {
  addressPortNetworks,
  networkInterfaces,
  networkPairs,
  networkPortNetworks,
  networkPorts,
  networks,
} from "./networks.ts";

export class SetTable {
  private readonly models = new Map<string, IpSet>();
  private readonly ready = new Map<string, CompiledSet>();

  private readonly dir: string;

  /** `dir` is the namespace's folder, which keeps its sets apart from those of the same name elsewhere. */
  constructor(sets: readonly IpSet[], dir: string) {
    this.dir = dir;
    for (const set of sets) this.models.set(set.name, set);
  }

  /** What Packet.touched has once a rule changed the set. */
  tag(name: string): string {
    return `set ${this.dir} ${name}`;
  }

  /** The set of that name; null when none was recorded. */
  get(name: string): CompiledSet | null {
    const ready = this.ready.get(name);
    if (ready !== undefined) return ready;
    const model = this.models.get(name);
    if (model === undefined) return null;
    const set = this.compile(model);
    this.ready.set(name, set);
    return set;
  }

  /**
   * ip_set_test (ip_set_core.c): NO when the rule gives too few directions or the family is another.
   * MAYBE leaves its reason in `s.why`.
   */
  test(name: string, s: EvalState, dirs: Directions): number {
    const set = this.get(name);
    if (set === null) {
      s.why = `the set ${name} was not recorded`;
      return MAYBE;
    }
    const touched = s.pkt.touched;
    if (touched !== null && touched.includes(this.tag(name))) {
      s.why = `an earlier rule changed the set ${name} for this packet`;
      return MAYBE;
    }
    if (directionCount(dirs) < set.dimensions || (set.family !== null && set.family !== s.pkt.v)) return NO;
    const answer = set.lookup(s, dirs);
    if (answer === MAYBE || answer === NO) return answer;
    const inverted = (dirs & RETURN_NOMATCH) !== 0 && set.hasNomatch;
    return (answer === YES) === inverted ? NO : YES;
  }

  private compile(model: IpSet): CompiledSet {
    const mask =
      model.bitmask ?? (model.netmask === null ? null : netmask(model.family === "inet6" ? 6 : 4, model.netmask));
    const family = model.family === null ? null : model.family === "inet" ? 4 : 6;
    const make = (dimensions: number, lookup: Lookup, hasNomatch = false): CompiledSet => ({
      name: model.name,
      dimensions,
      family,
      hasNomatch,
      lookup,
    });
    switch (model.type) {
      case "hash:ip":
      case "bitmap:ip":
        return make(1, addresses(model, mask));
      case "hash:ip,port":
        return make(2, addressPorts(model, mask));
      case "hash:ip,port,ip":
        return make(3, addressPortAddresses(model));
      case "hash:ip,port,net":
        return make(3, addressPortNetworks(model), true);
      case "hash:ip,mac":
        return make(2, addressMacs(model));
      case "hash:ip,mark":
        return make(2, addressMarks(model));
      case "hash:mac":
        return make(1, macs(model));
      case "hash:net":
        return make(1, networks(model), true);
      case "hash:net,port":
        return make(2, networkPorts(model), true);
      case "hash:net,net":
        return make(2, networkPairs(model, mask), true);
      case "hash:net,port,net":
        return make(3, networkPortNetworks(model), true);
      case "hash:net,iface":
        return make(2, networkInterfaces(model), true);
      case "bitmap:ip,mac":
        return make(2, bitmapAddressMacs(model));
      case "bitmap:port":
        return make(1, bitmapPorts(model));
      case "list:set":
        return make(1, this.list(model));
      default:
        return make(1, unmodelled(model.type));
    }
  }

  /** list_set_ktest: in the list when it is in any member; a member of another family or with more dimensions is passed over. */
  private list(model: IpSet): Lookup {
    const names = model.entries.flatMap((e) => (e.set === null ? [] : [e.set]));
    return (s, dirs) => {
      let maybe = "";
      for (let i = 0; i < names.length; i++) {
        const answer = this.test(names[i]!, s, dirs);
        if (answer === YES) return YES;
        if (answer === MAYBE && maybe === "") maybe = s.why;
      }
      if (maybe === "") return NO;
      s.why = maybe;
      return MAYBE;
    };
  }
}

function unmodelled(type: string): Lookup {
  return (s) => {
    s.why = `sets of type ${type} are not modelled`;
    return MAYBE;
  };
}

function netmask(v: 4 | 6, len: number): Ip {
  return v === 4 ? ip4(maskWord(len, 0)) : ip6(maskWord(len, 0), maskWord(len, 1), maskWord(len, 2), maskWord(len, 3));
}
