/** What clients send to, by the words that `kubewalk walk` takes. */
import type { Pod, Service, ServicePort } from "../model/cluster.ts";
import type { Proto } from "../model/walk.ts";

/** How a client addresses a Service. */
export type Way = "clusterIP" | "nodePort" | "loadBalancer" | "externalIP";

/** What stands behind an address. */
export type Aim =
  | {
      kind: "service";
      service: Service;
      port: ServicePort;
      way: Way;
      /** Node whose address it is, for a nodePort. */ node: string | null;
    }
  | { kind: "pod"; pod: Pod; place: string | null }
  /** A port of a node that leads to a pod (hostPort). */
  | { kind: "hostPort"; pod: Pod; node: string; containerPort: number }
  | { kind: "node"; node: string }
  | { kind: "outside"; place: string };

export interface Target {
  aim: Aim;
  /** `svc:shop/web:80/udp`, `pod:shop/web-1:8080`, `node:n1` … */
  to: string;
  proto: Proto;
  address: string;
  port?: number;
}

/** Someone who sends. */
export interface Sender {
  /** `n1/pod/shop/client-1`, `n1/host`, `outside/host`. */
  place: string;
  kind: "pod" | "node" | "outside";
  node: string;
  pod: Pod | null;
  /** It has addresses of these families. */
  families: ReadonlySet<4 | 6>;
}
