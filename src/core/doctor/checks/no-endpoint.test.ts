import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { json, object } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { noEndpoint } from "./no-endpoint.ts";

const NAME = "flannel-vxlan-iptables";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [noEndpoint] }).findings;

interface Slices {
  items: { metadata: { labels: Record<string, string> }; endpoints: unknown[] }[];
}

/** No endpoint of a Service, as after its selector was changed. */
const emptied = (service: string): Edit =>
  json<Slices>(({ items }) => {
    for (const item of items) if (item.metadata.labels["kubernetes.io/service-name"] === service) item.endpoints = [];
  });

const selecting = (name: string, selector: Record<string, string>): Edit =>
  object(name, (service) => Object.assign(service["spec"] as object, { selector }));

describe.skipIf(!hasRecording(NAME))("no-endpoint", () => {
  test("what nobody counts on is only said", () => {
    const found = findings({});
    expect(found.map(({ severity }) => severity)).toEqual(["error", "warning"]);
    expect(found.map(({ summary }) => /shop\/\S+/.exec(summary)?.[0]).toSorted()).toEqual([
      "shop/nobody",
      "shop/web-local",
    ]);
  });

  test("a label that is misspelt, with the right one in the remedy", () => {
    const found = findings({
      "cluster/services.json": selecting("web", { app: "wbe" }),
      "cluster/endpointslices.discovery.k8s.io.json": emptied("web"),
    });
    const web = found.find(({ summary }) => summary.includes("shop/web "));
    expect(web?.severity).toBe("warning");
    expect(web?.summary).toContain("there are pods with app=web");
    expect(web?.remedy).toEqual([`kubectl -n shop patch service web -p '{"spec":{"selector":{"app":"web"}}}'`]);
  });

  test("nothing that would ever match is a fault of a Service that others are told of", () => {
    const found = findings({
      "cluster/services.json": selecting("web-nodeport", { app: "something-else" }),
      "cluster/endpointslices.discovery.k8s.io.json": emptied("web-nodeport"),
    });
    expect(found.find(({ summary }) => summary.includes("web-nodeport"))?.severity).toBe("warning");
  });

  test("cannot be told without EndpointSlices", () => {
    const { findings: none, unknown } = doctor(
      altered(NAME, { "cluster/endpointslices.discovery.k8s.io.json": null }),
      { checks: [noEndpoint] },
    );
    expect(none).toEqual([]);
    expect(unknown.find(({ id }) => id === "no-endpoint")?.why).toContain("was not recorded");
  });
});
