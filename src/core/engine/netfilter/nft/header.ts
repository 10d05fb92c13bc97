/** Options and extension headers (nft_exthdr.c). Packets here have none but the fragment header of IPv6 and what TCP sends along. */
import { SCTP, TCP } from "../../packet.ts";
import { word } from "./json.ts";
import type { NftObject } from "./json.ts";
import { plain } from "./scope.ts";
import type { Expr, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { Load, Loaded } from "./value.ts";

/** Of what is not there: 0 where its presence is asked for (NFT_EXTHDR_F_PRESENT), else NFT_BREAK. */
const absent = (exists: boolean): Loaded => (exists ? 0 : null);

const of = (exists: boolean, load: Load): Expr => plain(exists ? t.BOOLEAN : t.INTEGER(32), load);

/** `{"exthdr": {"name": …, "field": …}}`: IPv6 extension headers. */
export function exthdrExpr(scope: RuleScope, body: NftObject, exists: boolean): Expr {
  scope.needIp(6);
  const name = word(body, "name");
  return of(exists, (s) => {
    if (!s.pkt.laterFragment) return absent(exists);
    if (name === "frag" && exists) return 1;
    s.why = `extension header ${name} of a fragment is not known`;
    return undefined;
  });
}

/** `{"ip option": …}`. */
export function ipOptionExpr(scope: RuleScope, exists: boolean): Expr {
  scope.needIp(4);
  return of(exists, () => absent(exists));
}

/** `{"tcp option": …}` and `{"sctp chunk": …}`: nothing of other protocols; of these it is not known what they carry. */
export function transportOptionExpr(kind: "tcp option" | "sctp chunk", body: NftObject, exists: boolean): Expr {
  const proto = kind === "tcp option" ? TCP : SCTP;
  const name = word(body, "name");
  return of(exists, (s) => {
    if (s.pkt.proto !== proto || s.pkt.laterFragment) return absent(exists);
    s.why = `${kind} ${name} is not known`;
    return undefined;
  });
}
