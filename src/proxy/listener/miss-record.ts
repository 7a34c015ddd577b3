import { NO_REQUEST, type TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { ListenerRuntime } from '../config/runtime.ts';
import type { Connection } from '../io/connection.ts';

/** The record of a connection that no filter chain takes. */
export function missRecord(listener: ListenerRuntime, connection: Connection, localAddress: string, serverName: string, connectionId: number): TrafficRecord {
  return {
    direction: listener.trafficDirection === 'inbound' ? 'inbound' : 'outbound',
    protocol: 'tcp',
    startMs: Date.now(),
    durationMs: 0,
    responseCode: 0,
    responseCodeDetails: 'filter_chain_not_found',
    responseFlags: ['NR'],
    connectionTerminationDetails: '',
    upstreamTransportFailureReason: '',
    bytesReceived: 0,
    bytesSent: 0,
    wireBytesReceived: 0,
    wireBytesSent: 0,
    ...NO_REQUEST,
    upstreamCluster: '',
    upstreamHost: '',
    upstreamLocalAddress: '',
    downstreamLocalAddress: localAddress,
    downstreamRemoteAddress: `${connection.remoteAddress}:${connection.remotePort}`,
    requestedServerName: serverName,
    attempts: 0,
    peerPrincipal: '',
    localPrincipal: '',
    peer: undefined,
    destinationService: undefined,
    connectionId,
  };
}
