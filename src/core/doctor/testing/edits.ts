/** Small alterations of recorded files. */
import type { Edit } from "./altered.ts";

type Json = Record<string, unknown>;

/** A JSON file after `change` has had its way with it. */
export function json<T = Json[]>(change: (value: T) => void): Edit {
  return (text) => {
    const value = JSON.parse(text) as T;
    change(value);
    return JSON.stringify(value);
  };
}

/** Every `from` becomes `to`. */
export const swap =
  (from: string, to: string): Edit =>
  (text) =>
    text.replaceAll(from, to);

interface Row extends Json {
  ifname: string;
  flags: string[];
  addr_info: Json[];
}

/** The files of a machine whose device has one more address. */
export function withAddress(node: string, dev: string, address: string): Record<string, Edit> {
  const [local = "", len = "32"] = address.split("/");
  return {
    [`nodes/${node}/host/addr.json`]: json<Row[]>((rows) => {
      rows
        .find((row) => row.ifname === dev)!
        .addr_info.push({ family: "inet", local, prefixlen: Number(len), scope: "global", label: dev });
    }),
    [`nodes/${node}/host/route4.json`]: json((rows) => {
      rows.push({
        type: "local",
        dst: local,
        dev,
        table: "local",
        protocol: "kernel",
        scope: "host",
        prefsrc: local,
        flags: [],
      });
    }),
  };
}

/** The objects of a recorded list after `change` has had its way with each that is named so. */
export function object(name: string, change: (value: Json) => void): Edit {
  return json<{ items: (Json & { metadata: { name: string } })[] }>(({ items }) => {
    for (const item of items) if (item.metadata.name === name) change(item);
  });
}
