/** EnvoyFilters that a kind of proxy refused: left out for it until they change. */
import { createLogger } from '../../base/log.ts';
import type { EnvoyFilter, EnvoyPatch } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import { patchReport } from '../../translate/envoy-filter/report.ts';
import { TYPE_URL } from '../../xds/ads.ts';

const log = createLogger('envoyfilter');

/** Which patches change which type of resource. */
const TYPE_OF: Readonly<Record<EnvoyPatch['applyTo'], string>> = {
  LISTENER: TYPE_URL.listener, FILTER_CHAIN: TYPE_URL.listener, NETWORK_FILTER: TYPE_URL.listener, HTTP_FILTER: TYPE_URL.listener, LISTENER_FILTER: TYPE_URL.listener,
  ROUTE_CONFIGURATION: TYPE_URL.route, VIRTUAL_HOST: TYPE_URL.route, HTTP_ROUTE: TYPE_URL.route, CLUSTER: TYPE_URL.cluster, EXTENSION_CONFIG: TYPE_URL.extensionConfig, BOOTSTRAP: '',
};

export interface Quarantined {
  readonly filter: string;
  readonly dataPlane: string;
  /** The proxy's own words. */
  readonly reason: string;
}

/** Remembers refusals by data plane, filter and content: a changed filter gets another chance. */
export class PatchQuarantine {
  private readonly refused = new Map<string, Quarantined>();

  /** The view without the filters its kind of proxy refused. */
  admit(view: ProxyView, dataPlane: string): ProxyView {
    if (this.refused.size === 0 || view.envoyFilters.length === 0) return view;
    const envoyFilters = view.envoyFilters.filter((filter) => !this.refused.has(keyOf(dataPlane, filter)));
    return envoyFilters.length === view.envoyFilters.length ? view : { ...view, envoyFilters };
  }

  /**
   * A proxy refused resources of a type. The filters whose patches changed a resource that its message names are put away; when it names none, all that
   * changed this type. Those it `accepted` before (by digest) are suspected only when there are no others. True when there are any, so that a push without them is worth it.
   */
  refuse(view: ProxyView, dataPlane: string, typeUrl: string, message: string, accepted: ReadonlySet<string>): boolean {
    const touched = patchReport(view).filter(({ patch, outcome }) => outcome.state === 'applied' && (TYPE_OF[patch.applyTo] === typeUrl || (typeUrl === TYPE_URL.listener && TYPE_OF[patch.applyTo] === TYPE_URL.route)));
    const named = touched.filter(({ outcome }) => outcome.resources.some((resource) => message.includes(resource)));
    const added = touched.filter(({ patch }) => namesWhatItAdds(patch, message));
    const suspects = added.length > 0 ? added : named.length > 0 ? named : touched;
    const fresh = suspects.filter(({ filter }) => !accepted.has(filter.digest));
    const guilty = new Set((fresh.length > 0 ? fresh : suspects).map(({ filter }) => filter));
    for (const filter of guilty) {
      this.refused.set(keyOf(dataPlane, filter), { filter: `${filter.namespace}/${filter.name}`, dataPlane, reason: message });
      log.warn('a proxy refused what an EnvoyFilter made; it gets its configuration without it', { filter: `${filter.namespace}/${filter.name}`, dataPlane, reason: message });
    }
    return guilty.size > 0;
  }

  list(): readonly Quarantined[] {
    return [...this.refused.values()];
  }
}

function keyOf(dataPlane: string, filter: EnvoyFilter): string {
  return `${dataPlane}|${filter.origin}|${filter.digest}`;
}

/** A refusal that says the name or the type of what a patch puts in means this patch and no other. */
function namesWhatItAdds(patch: EnvoyPatch, message: string): boolean {
  const value = patch.value as { readonly name?: unknown; readonly typed_config?: { readonly '@type'?: unknown }; readonly typedConfig?: { readonly '@type'?: unknown } } | null | undefined;
  const type = (value?.typed_config ?? value?.typedConfig)?.['@type'];
  const words = [value?.name, typeof type === 'string' ? type.slice(type.lastIndexOf('/') + 1) : undefined];
  return patch.operation !== 'REMOVE' && words.some((word) => typeof word === 'string' && word !== '' && !word.endsWith('http_connection_manager') && !word.endsWith('HttpConnectionManager') && message.includes(word));
}
