/** Small protobuf values as plain numbers. */
import { FractionalPercent_DenominatorType as Denominator, type FractionalPercent } from '../../xds/gen/envoy/type/v3/percent_pb.ts';

/** The fields of google.protobuf.Duration. */
export interface ProtoDuration {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** Milliseconds; undefined stays undefined. */
export function durationMs(duration: ProtoDuration): number;
export function durationMs(duration: ProtoDuration | undefined): number | undefined;
export function durationMs(duration: ProtoDuration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** Fraction 0–1; undefined = always. */
export function fractionOf(percent: FractionalPercent | undefined): number {
  if (!percent) return 1;
  const denominator = percent.denominator === Denominator.MILLION ? 1e6 : percent.denominator === Denominator.TEN_THOUSAND ? 1e4 : 100;
  return Math.min(1, percent.numerator / denominator);
}
