/** What became of a reference to a backend. */
import type { ConfigError } from './condition.ts';

/** `destination` of an Istio route; without a host it is answered with 500. */
export interface DestinationSpec {
  readonly host?: string;
  readonly subset?: string;
  readonly port?: { readonly number: number };
}

/** A destination, an error, or both. */
export type BackendResult =
  /** Routes go on; `error` is reported and the share of this backend is lost when the destination is empty. */
  | { readonly destination: DestinationSpec; readonly error?: ConfigError | undefined }
  /** The route cannot be converted. */
  | { readonly destination: undefined; readonly error: ConfigError };
