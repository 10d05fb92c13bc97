/** Where a packet stands in its connection, as rules name it (NF_CT_STATE_BIT). */
import type { Packet } from "../packet.ts";

export const CT_INVALID = 1;
export const CT_ESTABLISHED = 2;
export const CT_RELATED = 4;
export const CT_NEW = 8;
export const CT_UNTRACKED = 64;

/** The bit of a packet's state; without a connection the packet is untracked or invalid (nft_ct_get_eval). */
export function ctStateBit(pkt: Packet): number {
  switch (pkt.ctInfo) {
    case "new":
      return CT_NEW;
    case "established":
      return CT_ESTABLISHED;
    case "related":
      return CT_RELATED;
    case "untracked":
      return CT_UNTRACKED;
    case "invalid":
      return CT_INVALID;
    case "none":
      // A template counts as a connection: nft_ct_set_zone_eval, IP_CT_NEW.
      return pkt.template ? CT_NEW : CT_INVALID;
  }
}
