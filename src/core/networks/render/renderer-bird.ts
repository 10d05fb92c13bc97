/** A host of kind HostRouter that speaks BGP to its top-of-rack switches. */
import { parseIp, parsePrefix } from "../../model/address.ts";
import { hostBirdClaims } from "../bird/claims.ts";
import { hostBirdConfig } from "../bird/config.ts";
import { HostBirdError, type HostBird } from "../bird/host.ts";
import { IntentError } from "../network.ts";
import { errorOf, type WrittenObject } from "./objects.ts";
import { ownObjects, specOf, type FieldReader } from "./own-kinds.ts";
import type { RenderedMachine, Renderer } from "./renderer.ts";

const ip = (text: string): string | null => (parseIp(text) === null ? null : text);
const prefix = (text: string): string | null => (parsePrefix(text) === null || !text.includes("/") ? null : text);

/** An AS number of 32 bits; 0 is none (RFC 7607). */
function asOf(reader: FieldReader): number {
  const as = reader.integer("as");
  if (as === null) throw reader.error("as", "is missing");
  if (as < 1 || as > 0xffff_ffff) throw reader.error("as", `should be an AS number, not ${as}`);
  return as;
}

function prefixes(reader: FieldReader, name: string): string[] {
  const wrong = reader.texts(name).find((each) => prefix(each) === null);
  if (wrong !== undefined) throw reader.error(name, `should be networks, not ${wrong}`);
  return reader.texts(name);
}

function uplink(reader: FieldReader): HostBird["uplinks"][number] {
  reader.only("dev", "address", "router", "as");
  reader.required("address");
  reader.required("router");
  return {
    dev: reader.required("dev"),
    address: reader.parsed("address", "an address with its length, such as 172.20.1.1/31", prefix) ?? "",
    router: reader.parsed("router", "an address", ip) ?? "",
    as: asOf(reader),
  };
}

function behind(reader: FieldReader): NonNullable<HostBird["behind"]> {
  reader.only("address", "port", "as", "prefixes");
  reader.required("address");
  return {
    address: reader.parsed("address", "an address", ip) ?? "",
    port: reader.port("port") ?? 179,
    as: asOf(reader),
    prefixes: prefixes(reader, "prefixes"),
  };
}

/** Reads a HostRouter. Throws ParseError. */
function hostOf(object: WrittenObject): HostBird {
  const spec = specOf(object).only("as", "addresses", "uplinks", "learned", "table", "priority", "behind");
  const [table, priority] = [spec.integer("table"), spec.integer("priority")];
  const hasBehind = spec.object("behind").text("address") !== null;
  return {
    place: `${object.name}/host`,
    as: asOf(spec),
    services: prefixes(spec, "addresses"),
    uplinks: spec.each("uplinks").map(uplink),
    ...(spec.items("learned").length > 0 ? { learned: prefixes(spec, "learned") } : {}),
    ...(table === null ? {} : { table }),
    ...(priority === null ? {} : { priority }),
    behind: hasBehind ? behind(spec.object("behind")) : null,
  };
}

/** The uplinks with their addresses. */
function devicesOf({ uplinks }: HostBird): RenderedMachine["devices"] {
  const names = [...new Set(uplinks.map(({ dev }) => dev))];
  return names.map((name) => ({
    name,
    mtu: 1500,
    mac: null,
    addresses: uplinks.filter(({ dev }) => dev === name).map(({ address }) => address),
  }));
}

export const birdRenderer: Renderer = {
  name: "bird",
  about: "A HostRouter: an address of its own on lo, told to two top-of-rack switches by BIRD",
  modes: [],
  render(objects) {
    const hosts = ownObjects(objects, "HostRouter");
    if (hosts.length === 0)
      throw new IntentError("the objects hold no HostRouter (apiVersion: kubewalk/v1): there is no host with BIRD");
    const each = hosts.map((object) => {
      const host = hostOf(object);
      try {
        const machine = { name: object.name, devices: devicesOf(host), routes: [] };
        return { machine, claims: hostBirdClaims(host), text: hostBirdConfig(host) };
      } catch (error) {
        if (error instanceof HostBirdError) throw errorOf(object, error.message);
        throw error;
      }
    });
    return {
      claims: each.flatMap(({ claims }) => claims),
      files: each.map(({ machine, text }) => ({ at: machine.name, path: "/etc/bird/bird.conf", text })),
      notes: [],
      machines: each.map(({ machine }) => machine),
      beneath: new Map(),
    };
  },
};
