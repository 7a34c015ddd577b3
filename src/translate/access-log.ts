import { create } from '@bufbuild/protobuf';
import { AccessLogSchema, type AccessLog } from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.ts';
import { FileAccessLogSchema } from '../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.ts';
import type { MeshSettings } from '../model/mesh.ts';
import { pack } from './proto.ts';

/** Istio's default line. @see features.md §5.6 */
export const DEFAULT_TEXT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/** The same facts as JSON, in Istio's key order. */
export const DEFAULT_JSON_FORMAT: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%', method: '%REQ(:METHOD)%', path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%', protocol: '%PROTOCOL%', response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%', response_code_details: '%RESPONSE_CODE_DETAILS%', connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%', bytes_received: '%BYTES_RECEIVED%', bytes_sent: '%BYTES_SENT%', duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%', x_forwarded_for: '%REQ(X-FORWARDED-FOR)%', user_agent: '%REQ(USER-AGENT)%', request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%', upstream_host: '%UPSTREAM_HOST%', upstream_cluster: '%UPSTREAM_CLUSTER_RAW%', upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%', downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%', requested_server_name: '%REQUESTED_SERVER_NAME%', route_name: '%ROUTE_NAME%',
};

/** The mesh's access log, for connection managers and TCP proxies; empty when it is off. */
export function accessLogs(mesh: MeshSettings): AccessLog[] {
  if (!mesh.accessLogFile) return [];
  return [create(AccessLogSchema, { name: 'envoy.access_loggers.file', configType: { case: 'typedConfig', value: fileLog(mesh) } })];
}

/** For listeners: only connections for which no filter chain matched (NR), which no other log sees. */
export function listenerAccessLogs(mesh: MeshSettings): AccessLog[] {
  if (!mesh.accessLogFile || mesh.disableListenerLog) return [];
  return [create(AccessLogSchema, {
    name: 'envoy.access_loggers.file', filter: { filterSpecifier: { case: 'responseFlagFilter', value: { flags: ['NR'] } } }, configType: { case: 'typedConfig', value: fileLog(mesh) },
  })];
}

function fileLog(mesh: MeshSettings) {
  return pack(FileAccessLogSchema, {
    path: mesh.accessLogFile,
    accessLogFormat: {
      case: 'logFormat',
      value: mesh.accessLogEncoding === 'JSON'
        ? { format: { case: 'jsonFormat', value: jsonFormat(mesh) } }
        : { format: { case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: mesh.accessLogFormat || DEFAULT_TEXT_FORMAT } } } },
    },
  });
}

function jsonFormat(mesh: MeshSettings): Record<string, string> {
  if (!mesh.accessLogFormat) return { ...DEFAULT_JSON_FORMAT };
  try {
    return JSON.parse(mesh.accessLogFormat) as Record<string, string>;
  } catch {
    return { ...DEFAULT_JSON_FORMAT };
  }
}
