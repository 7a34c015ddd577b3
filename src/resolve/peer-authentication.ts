import { contentHash } from '../model/hash.ts';
import type { MtlsMode, PeerAuthentication } from '../model/peer-authentication.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, originOf, readSpec, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';

/** Reads a PeerAuthentication; undefined (and issues) when it must be left out. */
export function resolvePeerAuthentication(context: ResolveContext, object: KubeObject): PeerAuthentication | undefined {
  return readSpec(context, object, (spec) => {
    const labels = spec.at('selector').at('matchLabels');
    const portLevel = new Map<number, MtlsMode | undefined>();
    for (const [port, entry] of spec.at('portLevelMtls').entries()) {
      if (/^\d+$/.test(port)) portLevel.set(Number(port), readMode(entry));
      else entry.fail('the key must be a port number');
    }
    const selector = labels.exists && labels.entries().length > 0 ? labels.stringMap() : undefined;
    return {
      kind: 'peer-authentication' as const, name: object.metadata.name, namespace: namespaceOf(object),
      selector, mode: readMode(spec.at('mtls')), portLevel, createdMs: createdMsOf(object), origin: originOf(object), digest: contentHash([originOf(object), spec.value]),
    };
  });
}

function readMode(mtls: Cursor): MtlsMode | undefined {
  const mode = mtls.at('mode').oneOf(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']);
  return mode === 'UNSET' ? undefined : mode;
}
