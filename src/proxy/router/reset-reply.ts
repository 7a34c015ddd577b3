import type { ResponseFlag } from '../../telemetry/traffic-record.ts';
import type { LocalReply } from '../filters/http-filter.ts';
import type { ResetReason } from '../http/stream.ts';

const FLAGS: Readonly<Record<ResetReason, ResponseFlag>> = {
  'connection termination': 'UC',
  'remote connection failure': 'UF',
  'local connection failure': 'UF',
  'connection timeout': 'UF',
  'remote reset': 'UR',
  'local reset': 'LR',
  'remote refused stream reset': 'UR',
  'local refused stream reset': 'LR',
  'protocol error': 'UPE',
  overflow: 'UO',
};

/** The flag of a lost upstream stream. */
export function flagOf(reason: ResetReason): ResponseFlag {
  return FLAGS[reason];
}

/** `remote_connection_failure|delayed_connect_error:_Connection_refused`: how details name a reset. */
export function resetDetails(reason: ResetReason, transportFailure: string): string {
  return `${reason}${transportFailure === '' ? '' : `|${transportFailure}`}`.replaceAll(' ', '_');
}

/** What the client gets when the upstream was lost before its response began. @see Envoy router.cc onUpstreamAbort */
export function resetReply(reason: ResetReason, transportFailure: string, retried: boolean): LocalReply {
  return {
    status: reason === 'protocol error' ? 502 : 503,
    body: `upstream connect error or disconnect/reset before headers. ${retried ? 'retried and the latest ' : ''}reset reason: ${reason}${transportFailure === '' ? '' : `, transport failure reason: ${transportFailure}`}`,
    details: `upstream_reset_before_response_started{${resetDetails(reason, transportFailure)}}`,
    flag: flagOf(reason),
    ...(reason === 'overflow' ? { headers: [['x-envoy-overloaded', 'true']] as const } : {}),
  };
}
