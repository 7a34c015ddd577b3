import { clone } from '@bufbuild/protobuf';
import type { EnvoyPatch } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import { ClusterSchema, type Cluster } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { TypedExtensionConfig } from '../../xds/gen/envoy/config/core/v3/extension_pb.ts';
import { INBOUND_PASSTHROUGH_CLUSTER, parseClusterName } from '../names.ts';
import { applied, failed, patchesFor, settle, startRun, type PatchRun, type Place } from './context.ts';
import { mergeSocket } from './listeners.ts';
import { mergeInto } from './merge.ts';
import { unfitFilters } from './quarantine.ts';
import { clusterProblem } from './valid.ts';
import { valueOf } from './value.ts';

/** Applies the cluster patches of the view's EnvoyFilters. */
export function patchClusters(view: ProxyView, clusters: readonly Cluster[]): Cluster[] {
  if (!view.envoyFilters.some((filter) => filter.patches.some((patch) => patch.applyTo === 'CLUSTER'))) return [...clusters];
  const patched = clusters.flatMap((cluster) => unfitFilters(view, cluster.name, (run) => patchCluster(run, clone(ClusterSchema, cluster), placeOf(view, cluster)), clusterProblem) ?? []);
  return [...patched, ...addedClusters(view, patched)];
}

function placeOf(view: ProxyView, cluster: Cluster): Place {
  if (view.proxy.type === 'router') return 'GATEWAY';
  return cluster.name.startsWith('inbound|') || cluster.name === INBOUND_PASSTHROUGH_CLUSTER ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
}

/** Undefined: a patch removed it. */
function patchCluster(run: PatchRun, cluster: Cluster, place: Place): Cluster | undefined {
  for (const patch of patchesFor(run, 'CLUSTER', place)) {
    if (!matchesCluster(patch, cluster)) continue;
    if (patch.operation === 'REMOVE') {
      applied(run, patch);
      return undefined;
    }
    const value = patch.operation.startsWith('MERGE') ? valueOf(patch, 'CLUSTER') : undefined;
    if (!value) continue;
    const { transportSocket, ...rest } = clone(ClusterSchema, value);
    const problem = transportSocket && mergeSockets(cluster, transportSocket, patch);
    if (problem) {
      failed(run, patch, problem);
      continue;
    }
    mergeInto(ClusterSchema, cluster, rest, patch.operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append');
    applied(run, patch);
  }
  return cluster;
}

/** Where the socket is chosen per endpoint (automatic mutual TLS), the choice of the same name is what a patch of the socket means. */
function mergeSockets(cluster: Cluster, socket: NonNullable<Cluster['transportSocket']>, patch: EnvoyPatch): string | undefined {
  if (cluster.transportSocketMatches.length === 0) return mergeSocket(cluster, socket, patch);
  const same = cluster.transportSocketMatches.find((match) => match.transportSocket?.name === socket.name);
  return same ? mergeSocket(same, socket, patch) : `the cluster chooses its transport socket per endpoint, and none of them is named "${socket.name}"`;
}

function matchesCluster(patch: EnvoyPatch, cluster: Cluster): boolean {
  const match = patch.cluster;
  if (!match) return true;
  if (match.name !== '') return match.name === cluster.name;
  const parts = parseClusterName(cluster.name);
  if (!parts) return match.service === '' && match.subset === '' && match.portNumber === 0;
  if (match.subset !== '' && match.subset !== parts.subset) return false;
  if (match.service !== '' && match.service !== parts.host && !(parts.direction === 'inbound' && servesHost(cluster, match.service))) return false;
  return match.portNumber === 0 || match.portNumber === parts.port;
}

/** An inbound cluster's name says only a port; its services stand in the metadata. */
function servesHost(cluster: Cluster, host: string): boolean {
  const services = cluster.metadata?.filterMetadata['istio']?.['services'];
  return Array.isArray(services) && services.some((service) => typeof service === 'object' && service !== null && !Array.isArray(service) && service['host'] === host);
}

function addedClusters(view: ProxyView, present: readonly Cluster[]): Cluster[] {
  const places: readonly Place[] = view.proxy.type === 'router' ? ['GATEWAY'] : ['SIDECAR_OUTBOUND', 'SIDECAR_INBOUND'];
  const names = new Set(present.map((cluster) => cluster.name));
  const added: Cluster[] = [];
  const seen = new Set<EnvoyPatch>();
  for (const place of places) {
    const run = startRun(view, view.envoyFilters, '');
    for (const patch of patchesFor(run, 'CLUSTER', place)) {
      const value = patch.operation === 'ADD' && !seen.has(patch) ? valueOf(patch, 'CLUSTER') : undefined;
      if (!value) continue;
      seen.add(patch);
      const problem = clusterProblem(value) ?? (names.has(value.name) ? `there is a cluster named "${value.name}" already` : undefined);
      if (problem !== undefined) failed(run, patch, problem);
      else {
        names.add(value.name);
        added.push(clone(ClusterSchema, value));
        applied(run, patch);
      }
    }
    settle(run);
  }
  return added;
}

/** The extension configs that EnvoyFilters add, by name: what proxies ask for by ECDS. */
export function patchedExtensionConfigs(view: ProxyView): ReadonlyMap<string, TypedExtensionConfig> {
  const configs = new Map<string, TypedExtensionConfig>();
  const places: readonly Place[] = view.proxy.type === 'router' ? ['GATEWAY'] : ['SIDECAR_INBOUND', 'SIDECAR_OUTBOUND'];
  for (const place of places) {
    const run = startRun(view, view.envoyFilters, '');
    for (const patch of patchesFor(run, 'EXTENSION_CONFIG', place)) {
      const value = patch.operation === 'ADD' ? valueOf(patch, 'EXTENSION_CONFIG') : undefined;
      if (!value || configs.has(value.name)) continue;
      configs.set(value.name, value);
      applied(run, patch);
    }
    settle(run);
  }
  return configs;
}
