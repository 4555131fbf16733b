export { OfferCurve } from "./OfferCurve";
export { Recommendations } from "./Recommendations";
export { SegmentRanking } from "./SegmentRanking";
