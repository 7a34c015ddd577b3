import { create } from '@bufbuild/protobuf';
import { FractionalPercent_DenominatorType, FractionalPercentSchema, type FractionalPercent } from '../xds/gen/envoy/type/v3/percent_pb.ts';

/** Percent 0–100 in Envoy's exact form, to a ten-thousandth of a percent. */
export function fractionalPercent(percent: number): FractionalPercent {
  return create(FractionalPercentSchema, { numerator: Math.round(percent * 10_000), denominator: FractionalPercent_DenominatorType.MILLION });
}
