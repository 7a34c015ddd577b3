// Which of Envoy's statistics are kept, and how their names become Prometheus labels.
import type { BootstrapInput } from './input.ts';
import type { JsonMap } from './parts.ts';

/** Tag name and the expression that cuts it out of a statistic's name. Names and expressions are Istio's: dashboards depend on them. */
const TAGS: readonly (readonly [string, string])[] = [
  ['cluster_name', '^cluster(\\.(.+);)'],
  ['http_conn_manager_prefix', '^http\\.(((?:[_.[:digit:]\\w]*|[_\\[\\]aAbBcCdDeEfF[:digit:]\\w\\:]*));\\.)'],
  ['thread_name', '^server(\\.(.+))\\.watchdog'],
  ['tcp_prefix', '^tcp\\.((.*?)\\.)\\w+?$'],
  ['response_code', '_rq(_(\\d{3}))$'],
  ['response_code_class', '_rq(_(\\dxx))$'],
  ['http_conn_manager_listener_prefix', '^listener(?=\\.).*?\\.http\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)'],
  ['listener_address', '^listener\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)'],
  ['mongo_prefix', '^mongo\\.(.+?)\\.(collection|cmd|cx_|op_|delays_|decoding_)(.*?)$'],
];

const LATE_TAGS: readonly (readonly [string, string])[] = [
  ['cache', '(cache\\.(.+?)\\.)'],
  ['component', '(component\\.(.+?)\\.)'],
  ['tag', '(tag\\.(.+?);\\.)'],
  ['wasm_filter', '(wasm_filter\\.(.+?)\\.)'],
  ['authz_enforce_result', 'rbac(\\.(allowed|denied))'],
  ['authz_dry_run_action', '(\\.istio_dry_run_(allow|deny)_)'],
  ['authz_dry_run_result', '(\\.shadow_(allowed|denied))'],
];

const PREFIXES = ['cluster_manager', 'listener_manager', 'server', 'cluster.xds-grpc', 'wasm'];
const SUFFIXES = ['rbac.allowed', 'rbac.denied', 'shadow_allowed', 'shadow_denied'];
const REGEXPS = ['vhost\\..*\\.route\\..*'];

/** `stats_config`: everything else is not even counted, which is what keeps a sidecar small. */
export function statsConfig(input: BootstrapInput): JsonMap {
  const list = (name: string): string[] => (input.annotations[`sidecar.istio.io/${name}`] ?? '').split(',').filter((part) => part !== '');
  const matcher = (input.proxyConfig.raw['proxyStatsMatcher'] as { inclusionPrefixes?: string[]; inclusionSuffixes?: string[]; inclusionRegexps?: string[] } | undefined) ?? {};
  // An annotation stands in place of the ProxyConfig's list.
  const included = (name: string, configured: readonly string[] | undefined): string[] => (input.annotations[`sidecar.istio.io/${name}`] ? list(name) : (configured ?? [])).flatMap((part) => withPodIps(part, input.instanceIps));
  const extra = [...((input.proxyConfig.raw['extraStatTags'] as readonly string[] | undefined) ?? []), ...list('extraStatTags')];
  const tag = ([tag_name, regex]: readonly [string, string]): JsonMap => ({ tag_name, regex });
  const buckets = histogramBuckets(input.annotations['sidecar.istio.io/statsHistogramBuckets']);
  return {
    use_all_default_tags: false,
    stats_tags: [
      ...TAGS.map(tag),
      ...[...new Set(extra.filter((name) => name !== ''))].map((name) => tag([name, `(${name}=\\.=(.*?);\\.;)`])),
      ...LATE_TAGS.map(tag),
    ],
    ...(buckets.length > 0 ? { histogram_bucket_settings: buckets } : {}),
    stats_matcher: {
      inclusion_list: {
        patterns: [
          { prefix: 'reporter=' },
          ...[...PREFIXES, ...included('statsInclusionPrefixes', matcher.inclusionPrefixes), 'component', 'istio'].map((prefix) => ({ prefix })),
          ...[...SUFFIXES, ...(input.countActiveConnections ? ['downstream_cx_active'] : []), ...included('statsInclusionSuffixes', matcher.inclusionSuffixes)].map((suffix) => ({ suffix })),
          ...[...REGEXPS, ...included('statsInclusionRegexps', matcher.inclusionRegexps)].map((regex) => ({ safe_regex: { regex } })),
        ],
      },
    },
  };
}

/** `{pod_ip}` stands for each of the pod's addresses. */
function withPodIps(text: string, ips: readonly string[]): string[] {
  return text.includes('{pod_ip}') ? [...new Set(ips)].map((ip) => text.replaceAll('{pod_ip}', ip)) : [text];
}

function histogramBuckets(annotation: string | undefined): JsonMap[] {
  if (annotation === undefined) return [];
  try {
    const map = JSON.parse(annotation) as Readonly<Record<string, readonly number[]>>;
    return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)).map(([prefix, buckets]) => ({ match: { prefix }, buckets }));
  } catch {
    return [];
  }
}
