/** Volumes: what a pod mounts, as folders of this machine. Files of ConfigMaps, Secrets and tokens are swapped as a whole, never half written. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Container } from '../../objects/kubernetes/container.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Volume } from '../../objects/kubernetes/volume.ts';
import { podField, resourceField, type NodeCapacity } from './downward.ts';
import type { DownwardItem, KeyToPath } from './pod.ts';

/** A file of a volume. */
export interface VolumeFile {
  readonly content: Buffer;
  readonly mode: number;
}

/** Lookups for {@link volumeFiles}; undefined for what does not exist. */
export interface VolumeSources {
  readonly pod: Pod;
  readonly podIP: string;
  readonly node: NodeCapacity;
  configMap(name: string): Readonly<Record<string, Buffer>> | undefined;
  secret(name: string): Readonly<Record<string, Buffer>> | undefined;
  /** A bound token for this audience (undefined: the API server's). */
  token(audience: string | undefined, expirationSeconds: number): Promise<string>;
}

/** Why a volume cannot be mounted yet (`FailedMount`): the kubelet tries again. */
export class VolumeError extends Error {
  override name = 'VolumeError';
}

const DEFAULT_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

/** What a volume is on this machine; a `claim` is a folder that outlives the pod. */
export type VolumeKind = 'empty' | 'memory' | 'files' | 'claim';

/** Tells an empty directory from a volume of files; throws {@link VolumeError} for kinds that one machine refuses. */
export function volumeKind(volume: Volume): VolumeKind {
  if (volume.configMap || volume.secret || volume.downwardAPI || volume.projected) return 'files';
  if (volume.emptyDir) return volume.emptyDir.medium === 'Memory' ? 'memory' : 'empty';
  if (volume.persistentVolumeClaim) return 'claim';
  const kind = Object.keys(volume).find((key) => key !== 'name');
  // A volume with a name only is an emptyDir, as the API server defaults it.
  if (kind === undefined) return 'empty';
  if (kind === 'hostPath') throw new VolumeError(`volume "${volume.name}": hostPath is refused: pods of this cluster do not get folders of the machine; use an emptyDir, a ConfigMap or a Secret`);
  throw new VolumeError(`volume "${volume.name}": ${kind} is not supported on one machine`);
}

/** The files of a volume by relative path. Throws {@link VolumeError} when a part that is not optional is missing. */
export async function volumeFiles(volume: Volume, sources: VolumeSources): Promise<ReadonlyMap<string, VolumeFile>> {
  const files = new Map<string, VolumeFile>();
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) addKeys(files, 'configmap', configMap.name ?? '', sources.configMap(configMap.name ?? ''), configMap, configMap.defaultMode ?? DEFAULT_MODE, sources.pod);
  if (secret) addKeys(files, 'secret', secret.secretName ?? '', sources.secret(secret.secretName ?? ''), secret, secret.defaultMode ?? DEFAULT_MODE, sources.pod);
  if (downwardAPI) addDownward(files, downwardAPI.items, downwardAPI.defaultMode ?? DEFAULT_MODE, sources);
  const mode = projected?.defaultMode ?? DEFAULT_MODE;
  for (const source of projected?.sources ?? []) {
    if (source.configMap) addKeys(files, 'configmap', source.configMap.name ?? '', sources.configMap(source.configMap.name ?? ''), source.configMap, mode, sources.pod);
    if (source.secret) addKeys(files, 'secret', source.secret.name ?? '', sources.secret(source.secret.name ?? ''), source.secret, mode, sources.pod);
    if (source.downwardAPI) addDownward(files, source.downwardAPI.items, mode, sources);
    if (source.serviceAccountToken) {
      const { audience, expirationSeconds = DEFAULT_TOKEN_SECONDS, path } = source.serviceAccountToken;
      files.set(safePath(path), { content: Buffer.from(await sources.token(audience, expirationSeconds)), mode });
    }
    if (source.clusterTrustBundle || source.podCertificate) throw new VolumeError(`volume "${volume.name}": clusterTrustBundle and podCertificate sources are not supported`);
  }
  return files;
}

/** The shortest life of a token in a pod's volumes, in seconds; undefined when it has none. Decides when tokens are renewed. */
export function tokenSeconds(volumes: readonly Volume[]): number | undefined {
  const lives = volumes.flatMap((volume) => volume.projected?.sources ?? []).flatMap((source) => (source.serviceAccountToken ? [source.serviceAccountToken.expirationSeconds ?? DEFAULT_TOKEN_SECONDS] : []));
  return lives.length > 0 ? Math.min(...lives) : undefined;
}

type KeysOptions = { readonly items?: readonly KeyToPath[]; readonly optional?: boolean };

function addKeys(files: Map<string, VolumeFile>, kind: string, name: string, data: Readonly<Record<string, Buffer>> | undefined, options: KeysOptions, defaultMode: number, pod: Pod): void {
  if (!data) {
    if (options.optional) return;
    throw new VolumeError(`${kind} "${name}" not found`);
  }
  const items = options.items?.length ? options.items : Object.keys(data).map((key): KeyToPath => ({ key, path: key }));
  for (const { key, path, mode } of items) {
    if (Object.hasOwn(data, key)) files.set(safePath(path), { content: data[key]!, mode: mode ?? defaultMode });
    else if (!options.optional) throw new VolumeError(`${kind} "${pod.metadata.namespace}/${name}": references non-existent key: ${key}`);
  }
}

function addDownward(files: Map<string, VolumeFile>, items: readonly DownwardItem[] | undefined, defaultMode: number, sources: VolumeSources): void {
  for (const item of items ?? []) {
    const value = item.fieldRef ? podField(sources.pod, sources.podIP, item.fieldRef.fieldPath) : item.resourceFieldRef ? resourceField(sources.pod, { name: '' } as Container, item.resourceFieldRef, sources.node) : undefined;
    if (value === undefined) throw new VolumeError(`downward API item "${item.path}" names no field that can be read`);
    files.set(safePath(item.path), { content: Buffer.from(value), mode: item.mode ?? defaultMode });
  }
}

/** A path that stays inside its volume. */
function safePath(path: string): string {
  const clean = normalize(path);
  if (clean.startsWith('/') || clean.split('/').includes('..') || clean === '.') throw new VolumeError(`path "${path}" must be relative and stay inside the volume`);
  return clean;
}

/**
 * Writes a volume's files so that a reader sees all old or all new ones: a new timestamped folder, then `..data` is switched to it.
 * `group` (fsGroup) owns the files when given. Returns false when nothing changed.
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
 */
export function writeVolume(folder: string, files: ReadonlyMap<string, VolumeFile>, group?: number): boolean {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const dataLink = join(folder, '..data');
  const old = existsSync(dataLink) ? readlinkSync(dataLink) : undefined;
  if (old !== undefined && sameFiles(folder, old, files)) return false;
  const next = `..${Date.now()}_${Math.floor(Math.random() * 1e9)}`;
  mkdirSync(join(folder, next), { mode: 0o755 });
  for (const [path, { content, mode }] of files) {
    const place = join(folder, next, path);
    mkdirSync(dirname(place), { recursive: true, mode: 0o755 });
    writeFileSync(place, content, { mode });
    chmodSync(place, group === undefined ? mode : mode | 0o040);
    if (group !== undefined) chownSync(place, -1, group);
  }
  const names = new Set([...files.keys()].map((path) => path.split('/')[0]!));
  const before = listed(folder);
  writeFileSync(listFile(folder), JSON.stringify([...files.keys()]));
  symlinkSync(next, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), dataLink);
  for (const name of names) if (!existsSync(join(folder, name))) symlinkSync(`..data/${name}`, join(folder, name));
  for (const path of before) if (!names.has(path.split('/')[0]!)) rmSync(join(folder, path.split('/')[0]!), { force: true });
  if (old !== undefined) rmSync(join(folder, old), { recursive: true, force: true });
  return true;
}

/** The names of a volume's files are kept beside it, where no container sees them. */
function listFile(folder: string): string {
  return `${folder}.files.json`;
}

function listed(folder: string): readonly string[] {
  const file = listFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as string[]) : [];
}

function sameFiles(folder: string, data: string, files: ReadonlyMap<string, VolumeFile>): boolean {
  const before = listed(folder);
  return before.length === files.size && before.every((path) => files.has(path) && readFileSync(join(folder, data, path)).equals(files.get(path)!.content));
}
