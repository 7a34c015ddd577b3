import { FractionalPercent_DenominatorType as Denominator } from '../../xds/gen/envoy/type/v3/percent_pb.ts';
import type { FractionalPercent } from '../../xds/gen/envoy/type/v3/percent_pb.ts';

const DENOMINATORS: Readonly<Record<Denominator, number>> = { [Denominator.HUNDRED]: 100, [Denominator.TEN_THOUSAND]: 10_000, [Denominator.MILLION]: 1_000_000 };

/** A FractionalPercent as fraction 0–1; absent = 0. */
export function fractionOf(percent: FractionalPercent | undefined): number {
  return percent === undefined ? 0 : Math.min(1, percent.numerator / (DENOMINATORS[percent.denominator] ?? 100));
}
