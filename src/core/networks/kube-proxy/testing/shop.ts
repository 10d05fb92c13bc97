/** A cluster with a Service of every kind, for both families. */
import { service, slice, type TestObjects } from "./site.ts";

const dual = (last: number): object => ({
  clusterIPs: [`10.96.0.${last}`, `fd00:96::${last}`],
  ipFamilies: ["IPv4", "IPv6"],
});

const going = { conditions: { ready: false, serving: true, terminating: true } };

/** web, sticky: two endpoints; local: none here; none: none at all; door: all kinds of addresses; lb, guarded: load balancers; sctp. */
export const shop: TestObjects = {
  services: [
    service("web", { ...dual(1), ports: [{ name: "http", port: 80 }] }),
    service("sticky", {
      ...dual(2),
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
      ports: [{ port: 80 }],
    }),
    service("local", { ...dual(3), internalTrafficPolicy: "Local", ports: [{ port: 80 }] }),
    service("none", {
      ...dual(4),
      type: "NodePort",
      externalIPs: ["198.51.100.4"],
      ports: [{ port: 80, nodePort: 30004 }],
    }),
    service("door", {
      ...dual(5),
      type: "NodePort",
      externalIPs: ["198.51.100.5", "2001:db8::5"],
      ports: [{ port: 53, protocol: "UDP", nodePort: 30005 }],
    }),
    service(
      "lb",
      {
        ...dual(6),
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        healthCheckNodePort: 32006,
        ports: [{ port: 80, nodePort: 30006 }],
      },
      { status: { loadBalancer: { ingress: [{ ip: "198.51.100.6" }, { ip: "2001:db8::6" }] } } },
    ),
    service(
      "guarded",
      {
        ...dual(7),
        type: "LoadBalancer",
        loadBalancerSourceRanges: ["203.0.113.0/28", "172.30.0.0/16", "203.0.113.77/32", "2001:db8:1::/48"],
        ports: [{ port: 443, nodePort: 30007 }],
      },
      { status: { loadBalancer: { ingress: [{ ip: "198.51.100.7" }, { ip: "2001:db8::7" }] } } },
    ),
    service("sctp", { ...dual(8), type: "NodePort", ports: [{ port: 38412, protocol: "SCTP", nodePort: 30008 }] }),
  ],
  slices: [
    ...["web:http", "sticky:", "guarded:"].flatMap((text) => {
      const [name, port] = text.split(":") as [string, string];
      return [
        slice(
          name,
          [`${port}/8080`],
          [
            ["10.244.1.2", "n2"],
            ["10.244.0.2", "n1"],
          ],
        ),
        slice(
          name,
          [`${port}/8080`],
          [
            ["fd00:244::2", "n1"],
            ["fd00:244:1::2", "n2"],
          ],
          6,
        ),
      ];
    }),
    slice("local", ["/8080"], [["10.244.1.3", "n2"]]),
    slice("door", ["/53/UDP"], [["10.244.1.4", "n2"]]),
    slice(
      "lb",
      ["/8080"],
      [
        ["10.244.0.5", "n1", going],
        ["10.244.1.5", "n2"],
      ],
    ),
    slice(
      "sctp",
      ["/38412/SCTP"],
      [
        ["10.244.0.6", "n1"],
        ["10.244.1.6", "n2"],
        ["10.244.1.7", "n2"],
      ],
    ),
  ],
};
