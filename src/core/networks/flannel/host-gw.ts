/** Backend host-gw: the peers themselves are the gateways. */
import { formatPrefix } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import { onLink } from "./ext-iface.ts";
import { programRoute } from "./routes.ts";
import type { FlannelFamily, FlannelSettings } from "./settings.ts";

/**
 * A route to each peer's subnet by its public address (pkg/backend/hostgw). flanneld asks the kernel for a peer behind a router as well,
 * and again every ten seconds (route_network.go, routeCheck), but the kernel takes no gateway that is not on the device's link
 * (fib_check_nh, ip6_route_check_nh): there is no route to such a peer.
 */
export function hostGateway(settings: FlannelSettings, family: FlannelFamily): Claim[] {
  const dev = settings.ext.name;
  return family.peers.flatMap(({ lease }) =>
    onLink([settings.ext], lease.publicIP) === null
      ? []
      : [
          programRoute(settings.place, family.family, formatPrefix(lease.subnet), [
            { via: lease.publicIP, dev, onlink: false },
          ]),
        ],
  );
}
